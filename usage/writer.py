"""Group commit: requests that end at the same time share a transaction, yet each waits for its own row.

Threads: ``write`` and the queue live on one event loop. One thread per loop talks to the database, over one connection
that it keeps.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import DatabaseError, connection, transaction

from usage.entry import Entry
from usage.models import LedgerEntry
from voiceproject import metrics
from voiceproject.perloop import PerLoop

T = TypeVar("T")

LARGEST_COMMIT = 500  # rows


class LedgerWriter:
    def __init__(self) -> None:
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def write(self, entry: Entry) -> None:
        """Return once the row is committed. Raises ``DatabaseError`` when it cannot be."""
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[None] = loop.create_future()
        self._waiting.append((entry, committed))
        if self._committing is None:
            # An empty context: this outlives the request that happens to start it.
            self._committing = loop.create_task(self._commit_all(), context=contextvars.Context())
        await committed

    async def close(self) -> None:
        """Commit what waits and let go of the connection."""
        if self._committing is not None:
            await self._committing
        await self.run(lambda: connection.close())  # the thread's own connection

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_COMMIT], self._waiting[LARGEST_COMMIT:]
                entries = [entry for entry, _committed in batch]
                errors = await self.run(partial(commit, entries))
                for (_entry, committed), error in zip(batch, errors, strict=True):
                    if committed.done():  # its request was cancelled
                        continue
                    if error is None:
                        committed.set_result(None)
                    else:
                        committed.set_exception(error)
        finally:
            self._committing = None

    async def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the thread that holds the connection, in turn with the commits."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def commit(entries: list[Entry]) -> list[DatabaseError | None]:
    """Write the entries in one transaction; if that fails, each in its own, so that none fails for another's fault.

    Gives each entry's error, or None.
    """
    started = time.monotonic()
    rows = [LedgerEntry(**dataclasses.asdict(entry)) for entry in entries]
    try:
        with transaction.atomic():
            LedgerEntry.objects.bulk_create(rows)
    except DatabaseError:
        connection.close()  # it may be what is broken
        return [_commit_one(entry) for entry in entries]
    finally:
        metrics.ledger_write_seconds.observe(time.monotonic() - started)
    return [None] * len(entries)


def _commit_one(entry: Entry) -> DatabaseError | None:
    try:
        LedgerEntry.objects.create(**dataclasses.asdict(entry))
    except DatabaseError as error:
        return error
    return None


ledger = PerLoop(LedgerWriter)
