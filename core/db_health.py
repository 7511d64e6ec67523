"""A circuit breaker for the database. Once an outage is known, requests no longer wait for the database.

API requests make their queries with ``ask`` or ``Database.call``. The first queries in an outage fail after the
connection timeout, or after ``PATIENCE_S`` if the database accepts connections but does not answer. From then on,
queries fail at once with ``DatabaseError``, and their callers use cached values for at most ``VOICE_DATABASE_OUTAGE_S``
seconds. ``usage.ledger_writer`` checks every second whether the database is back.
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
PATIENCE_S = 5.0  # longer than a busy database needs to answer, shorter than clients wait
RETRY_AFTER_S = 5.0  # after this time, calls try the database again, because tests and commands have no regular check


class Database:
    """The state of the circuit breaker. Its methods may be called in any thread.

    ``has_answered``: whether any call has succeeded in this process. If so, cached values may exist.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._noted_at: float | None = None
        self.has_answered = False

    @property
    def is_unavailable(self) -> bool:
        """Whether the database is known to be unavailable."""
        noted_at = self._noted_at
        return noted_at is not None and time.monotonic() - noted_at < RETRY_AFTER_S

    @property
    def unavailable_s(self) -> float:
        """The time in seconds for which the database has been unavailable; 0 while it is available."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def note_unavailable(self, error: Exception) -> None:
        """Record that the database is unavailable. ``error``: the exception that a query has raised."""
        with self._lock:
            if self._since is None:
                logger.error("the database is unavailable", extra={"reason": str(error).strip()[:200]})
                self._since = time.monotonic()
            self._noted_at = time.monotonic()

    def note_available(self) -> None:
        """Record that the database is available again."""
        with self._lock:
            if self._since is not None:
                logger.warning("the database is back")
            self._noted_at = self._since = None

    def check(self) -> None:
        """Raise ``OperationalError`` if the database is known to be unavailable."""
        if self.is_unavailable:
            raise OperationalError("the database is unavailable")

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function`` and return its result. Record an outage if its error shows that there is one.

        While the database is known to be unavailable, raise ``OperationalError`` without calling ``function``. Errors
        of ``function`` are raised unchanged.
        """
        self.check()
        try:
            result = function(*args, **kwargs)
        except UNAVAILABLE_ERRORS as error:
            self.note_unavailable(error)
            raise
        self.has_answered = True
        return result


database = Database()


async def ask(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function``, which queries the database, in a thread, and return its result.

    Raise ``OperationalError`` if the database does not answer within ``PATIENCE_S``, or at once while the database is
    known to be unavailable. Errors of ``function`` are raised unchanged.
    """
    database.check()
    return await with_timeout(database_sync_to_async(database.call)(function, *args, **kwargs))


async def with_timeout(call: Awaitable[R]) -> R:
    """Await ``call``, which queries the database, and return its result.

    Raise ``OperationalError`` if there is no result within ``PATIENCE_S``. In this case, the query continues in its
    thread, and may still succeed.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await call
    except TimeoutError as error:
        silent = OperationalError("the database does not answer")
        database.note_unavailable(silent)
        raise silent from error
