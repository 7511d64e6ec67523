"""Circuit breaker for the database: once an outage is known, requests no longer wait for the database.

All queries of requests go through ``ask``. The first queries in an outage wait for the connection's timeout, or for
``PATIENCE_S`` if the database accepts connections but does not answer. After that, queries fail at once with
``DatabaseError``, and their callers use cached values for at most ``VOICE_DATABASE_OUTAGE_S``. ``usage.writer`` checks
every second whether the database is back.
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
PATIENCE_S = 5.0  # longer than a busy database takes, shorter than clients wait
DOUBT_S = 5.0  # time after which calls try the database again, even if nothing checks it (tests, commands)


class Database:
    """Records whether the database is known to be unavailable. May be used in any thread.

    ``was_there``: whether a call has ever succeeded, so that cached values may exist.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._noted_at: float | None = None
        self.was_there = False

    @property
    def is_away(self) -> bool:
        """Whether the database is known to be unavailable."""
        noted_at = self._noted_at
        return noted_at is not None and time.monotonic() - noted_at < DOUBT_S

    @property
    def away_s(self) -> float:
        """The seconds for which the database has been unavailable; 0 while it is available."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def note_away(self, error: Exception) -> None:
        """Record that the database is unavailable. ``error``: the error that shows this."""
        with self._lock:
            if self._since is None:
                logger.error("the database is unavailable", extra={"reason": str(error).strip()[:200]})
                self._since = time.monotonic()
            self._noted_at = time.monotonic()

    def note_back(self) -> None:
        """Record that the database is available again."""
        with self._lock:
            if self._since is not None:
                logger.warning("the database is back")
            self._noted_at = self._since = None

    def check(self) -> None:
        """Raise ``OperationalError`` if the database is known to be unavailable."""
        if self.is_away:
            raise OperationalError("the database is unavailable")

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function`` and return its result. If the database turns out to be unavailable, record this.

        Raise ``DatabaseError``. While the database is known to be unavailable, raise it without calling ``function``.
        """
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
    """Call ``function``, which queries the database, in a thread, and return its result.

    Raise ``DatabaseError``. While the database is known to be unavailable, raise it without calling ``function``.
    """
    database.check()
    return await with_timeout(database_sync_to_async(database.call)(function, *args, **kwargs))


async def with_timeout(call: Awaitable[R]) -> R:
    """Await ``call``, which queries the database, and return its result.

    Raise ``OperationalError`` after ``PATIENCE_S`` without a result. The query then continues in its thread, and may
    still succeed.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await call
    except TimeoutError as error:
        silent = OperationalError("the database does not answer")
        database.note_away(silent)
        raise silent from error
