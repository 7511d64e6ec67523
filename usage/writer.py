"""The one thread per event loop through which a process writes to the ledger and reserves quota.

It keeps one connection. Requests that end, or begin, at the same time share a transaction (``usage.groupcommit``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, connection

from usage.books import book
from usage.entry import Entry
from usage.groupcommit import GroupCommit, together_or_each
from usage.reservations import Claim, Outcome, reserve_all
from voiceproject import metrics
from voiceproject.perloop import PerLoop

T = TypeVar("T")


class LedgerWriter:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._rows: GroupCommit[Entry, None] = GroupCommit(self.run, lambda entries: commit(entries))
        self._claims: GroupCommit[Claim, Outcome] = GroupCommit(self.run, reserve)

    async def write(self, entry: Entry) -> None:
        """Return once the row is committed. Raises ``DatabaseError`` when it cannot be."""
        await self._rows.submit(entry)

    async def reserve(self, claim: Claim) -> Outcome:
        """Hold quota or be refused. Raises ``DatabaseError``."""
        return await self._claims.submit(claim)

    async def close(self) -> None:
        """Commit what waits and let go of the connection."""
        await self._claims.drain()
        await self._rows.drain()
        await self.run(lambda: connection.close())  # the thread's own connection

    async def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the thread that holds the connection, in turn with the commits."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def commit(entries: list[Entry]) -> list[DatabaseError | None]:
    """Write the entries. Gives each one's error, or None."""

    def write(entries: list[Entry]) -> list[None]:
        book(entries)
        return [None] * len(entries)

    started = time.monotonic()
    try:
        return together_or_each(entries, write)
    finally:
        metrics.ledger_write_seconds.observe(time.monotonic() - started)


def reserve(claims: list[Claim]) -> list[Outcome | DatabaseError]:
    return together_or_each(claims, reserve_all)


ledger = PerLoop(LedgerWriter)
