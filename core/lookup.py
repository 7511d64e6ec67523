"""Look-ups in the database that requests share, and that stay usable for a while when the database is gone."""

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
    """Asks once per ``fresh_s`` and key, however many want to know, also at the same moment.

    While the database is gone, what was found last stands in, for at most ``VOICE_DATABASE_OUTAGE_S``. None (nothing
    was found) does not: nobody is refused by an answer that may be out of date.
    """

    def __init__(self, max_keys: int, fresh_s: float) -> None:
        self._tasks: TTLCache[str, asyncio.Task[V]] = TTLCache(max_keys, fresh_s)
        self._known: TTLCache[str, V] = TTLCache(max_keys, settings.VOICE_DATABASE_OUTAGE_S)

    async def get(self, key: str, find: Callable[[], V]) -> V:
        """``find()``, called in a thread. Raises ``DatabaseError`` when the database is gone and nothing is known."""
        task = self._tasks.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            # An empty context: the look-up belongs to no request, so none can cancel it or close its connection.
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
        """Make the next question ask the database."""
        self._tasks.clear()
        self._known.clear()
