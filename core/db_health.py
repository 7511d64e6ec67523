"""The database, when it is gone: noticed once, then nobody waits for it until it is back.

What asks the database on a request's path asks through ``ask``. The first to find it gone waits for the connection's
time limit, or ``PATIENCE_S`` for one that takes connections and does not answer; the others are told at once
(``DatabaseError``) and fall back on what they remember, for at most ``VOICE_DATABASE_OUTAGE_S``. ``usage.writer`` looks
every second whether it is back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

UNAVAILABLE_ERRORS = (OperationalError, InterfaceError)
PATIENCE_S = 5.0  # more than a busy database takes, less than a caller waits gladly
DOUBT_S = 5.0  # without anybody who looks whether it is back (a test, a command), it is asked again after so long


class Database:
    """Whether the database is known to be gone. Any thread may ask and tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._noted_at: float | None = None
        self.was_there = False  # there is something to remember of it

    @property
    def is_away(self) -> bool:
        noted_at = self._noted_at
        return noted_at is not None and time.monotonic() - noted_at < DOUBT_S

    @property
    def away_s(self) -> float:
        """Seconds for which the database has been gone; 0 while it is available."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def note_away(self, error: Exception) -> None:
        with self._lock:
            if self._since is None:
                logger.error("the database is away", extra={"reason": str(error).strip()[:200]})
                self._since = time.monotonic()
            self._noted_at = time.monotonic()

    def note_back(self) -> None:
        with self._lock:
            if self._since is not None:
                logger.warning("the database is back")
            self._noted_at = self._since = None

    def check(self) -> None:
        """Raises ``OperationalError`` if the database is known to be gone."""
        if self.is_away:
            raise OperationalError("the database is away")

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function`` and return its result. Raises ``DatabaseError`` at once if the database is known to be
        gone, and records an outage that the call itself discovers."""
        self.check()
        try:
            result = function(*args, **kwargs)
        except UNAVAILABLE_ERRORS as error:
            self.note_away(error)
            raise
        self.was_there = True
        return result


database = Database()


async def ask(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that reads the database, in a thread. Raises ``DatabaseError``."""
    database.check()
    return await with_timeout(database_sync_to_async(database.call)(function, *args, **kwargs))


async def with_timeout(call: Awaitable[R]) -> R:
    """Await ``call`` and return its result. Raises ``OperationalError`` when the database takes too long; the call goes
    on in its thread and may yet succeed."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await call
    except TimeoutError as error:
        silent = OperationalError("the database does not answer")
        database.note_away(silent)
        raise silent from error
