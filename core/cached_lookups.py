"""Cache database lookups, so that requests can share them and can still use them while the database is unavailable."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import TTLCache
from django.conf import settings

from core.db_health import UNAVAILABLE_ERRORS, ask

V = TypeVar("V")


class SharedLookup(Generic[V]):
    """A cache of database lookups. Concurrent requests for the same key share one lookup.

    While the database is unavailable, cached values are used for at most ``VOICE_DATABASE_OUTAGE_S`` seconds. But a
    cached None, which means that no row was found, is not used then. The row may have been created since the lookup,
    and a valid request would be refused.

    ``max_keys``: maximum number of keys in the cache.
    ``fresh_s``: seconds for which a cached value is used without another lookup.
    """

    def __init__(self, max_keys: int, fresh_s: float) -> None:
        self._tasks: TTLCache[str, asyncio.Task[V]] = TTLCache(max_keys, fresh_s)
        self._known: TTLCache[str, V] = TTLCache(max_keys, settings.VOICE_DATABASE_OUTAGE_S)

    async def get(self, key: str, find: Callable[[], V]) -> V:
        """Return the value for ``key``. If there is no fresh value, look it up with ``find``, which runs in a thread.

        Raise ``DatabaseError`` if the database is unavailable and no earlier value is known.
        """
        task = self._tasks.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            # The empty context separates the shared lookup from the request that starts it, so that this request can
            # neither cancel the lookup nor close its database connection.
            task = asyncio.get_running_loop().create_task(ask(find), context=contextvars.Context())
            self._tasks[key] = task
        try:
            found = await asyncio.shield(task)
        except Exception as error:
            if self._tasks.get(key) is task:
                del self._tasks[key]
            if isinstance(error, UNAVAILABLE_ERRORS) and key in self._known:
                return self._known[key]
            raise
        if found is None:
            self._known.pop(key, None)
        else:
            self._known[key] = found
        return found

    def forget(self) -> None:
        """Discard all values, so that the next call asks the database."""
        self._tasks.clear()
        self._known.clear()
