"""Database look-ups that requests share, and that keep working for a while when the database is unavailable."""

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
    """Looks up each key at most once every ``fresh_s`` seconds, however many callers ask at the same moment.

    While the database is unavailable, the last value found is used, for at most ``VOICE_DATABASE_OUTAGE_S`` seconds. A
    cached None (nothing was found) is not used then: it may be out of date, and somebody would be refused wrongly.
    """

    def __init__(self, max_keys: int, fresh_s: float) -> None:
        self._tasks: TTLCache[str, asyncio.Task[V]] = TTLCache(max_keys, fresh_s)
        self._known: TTLCache[str, V] = TTLCache(max_keys, settings.VOICE_DATABASE_OUTAGE_S)

    async def get(self, key: str, find: Callable[[], V]) -> V:
        """Return the value for ``key``. If none is fresh, call ``find()`` in a thread.

        Raises ``DatabaseError`` if the database is unavailable and no earlier value is known.
        """
        task = self._tasks.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            # An empty context: callers share the look-up, so no request may cancel it or close its connection.
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
        """Forget all values, so that the next call asks the database."""
        self._tasks.clear()
        self._known.clear()
