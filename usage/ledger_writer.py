"""Write to the ledger and reserve quota, in one thread per event loop.

The thread keeps one database connection open. Requests that begin or end at the same time share a transaction
(``usage.group_commit``). While the database is unavailable, rows are written to files on disk, the spool
(``usage.spool``), and copied to the database when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, connection, transaction
from django.utils import timezone
from prometheus_client import Counter, Gauge, Histogram

from core.db_health import UNAVAILABLE_ERRORS, database, with_timeout
from core.per_loop import PerLoop
from usage.entry import Entry
from usage.group_commit import LARGEST_COMMIT, GroupCommit, together_or_each
from usage.ledger_posting import post_entries
from usage.models import LedgerEntry, OpenStream
from usage.reservations import Claim, Outcome, release, reserve_all
from usage.spool import Spool, SpooledEntry

logger = logging.getLogger(__name__)

ledger_write_seconds = Histogram(
    "voice_ledger_write_seconds",
    "Time to commit a group of rows",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
ledger_spooled = Counter("voice_ledger_spooled", "Rows kept on disk because the database was unavailable")
ledger_spool_files = Gauge("voice_ledger_spool_files", "Files on disk with rows that wait for the database")

T = TypeVar("T")

SPOOL = "spool"  # folder in the state directory
DRAIN_S = 1.0
MAX_QUEUED = 100_000  # maximum number of queued rows in memory


class LedgerWriter:
    """Writes ledger rows and reserves quota for one event loop."""

    def __init__(self) -> None:
        self.spool = Spool(settings.VOICE_STATE_DIR / SPOOL)
        ledger_spool_files.set_function(self.spool.count)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._rows: GroupCommit[Entry, None] = GroupCommit(self.run, lambda entries: commit(entries))
        self._queued: list[SpooledEntry] = []
        self._claims: GroupCommit[Claim, Outcome] = GroupCommit(self.run, reserve)

    async def write(self, entry: Entry) -> None:
        """Write the entry's row to the ledger, or to the spool if the database is unavailable.

        Return when the row has been committed or spooled. Raise ``DatabaseError`` if both fail.

        If the ledger already has a row with the entry's settlement id, write no row, but free the entry's reservation.
        """
        try:
            database.check()
            await with_timeout(self._rows.submit(entry))
        except IntegrityError:
            if not await self.run(lambda: free_settled(entry)):
                raise
        except UNAVAILABLE_ERRORS as error:
            await self.keep(SpooledEntry(entry, timezone.now()), error)

    def enqueue(self, entry: Entry) -> None:
        """Queue a row for ``drain`` to write. Use this if no request waits for the row.

        If the database and the disk both fail for a long time, the oldest rows in the queue are dropped.
        """
        self._queued.append(SpooledEntry(entry, timezone.now()))
        if len(self._queued) > MAX_QUEUED:
            logger.error(
                "refusals were lost: neither the database nor the disk takes them", extra={"rows": MAX_QUEUED // 10}
            )
            del self._queued[: MAX_QUEUED // 10]

    async def reserve(self, claim: Claim) -> Outcome:
        """Try to reserve quota, and return the outcome. Raise ``DatabaseError`` if the database is unavailable."""
        database.check()
        try:
            return await with_timeout(self._claims.submit(claim))
        except UNAVAILABLE_ERRORS as error:
            database.note_unavailable(error)
            raise

    async def keep(self, kept: SpooledEntry, error: Exception) -> None:
        """Spool an entry that could not be committed because of ``error``.

        Raise ``error`` again if the entry cannot be spooled, or if it has no settlement id.
        """
        database.note_unavailable(error)
        if kept.entry.settlement is None:
            raise error  # without a settlement id, the row might be written twice
        try:
            await asyncio.to_thread(self.spool.keep, kept)
        except OSError:
            logger.exception("a ledger row cannot be spooled")
            raise error from None
        ledger_spooled.inc()

    async def drain(self) -> None:
        """Write the queued rows, check whether the database is back, and write the spooled rows to the ledger.

        Raise ``DatabaseError`` if the database is unavailable.
        """
        failure: DatabaseError | None = None
        try:
            while queued := self._queued[:LARGEST_COMMIT]:
                await self._write_queued(queued)
                del self._queued[
                    : len(queued)
                ]  # delete after writing: after an interruption the rows are written again, which does no harm
        except DatabaseError as error:  # the rows could be neither committed nor spooled, so they stay queued
            failure = error
        # Try this even after a failure, because it shows whether the database is back.
        if not self.spool.is_empty or database.is_unavailable:
            if settled := await self.run(self._drain):
                logger.warning("settled what had been spooled", extra={"settlements": settled})
        elif failure is not None:
            raise failure

    async def _write_queued(self, queued: list[SpooledEntry]) -> None:
        try:
            database.check()
            refused = await with_timeout(self.run(lambda: settle(queued)))
        except UNAVAILABLE_ERRORS as error:
            for kept in queued:
                await self.keep(kept, error)
        else:
            for kept in refused:
                logger.error("the ledger cannot accept a row", extra={"entry": kept.entry})

    def _drain(self) -> int:
        try:
            connection.close_if_unusable_or_obsolete()
            settled = 0
            while not self.spool.is_empty and (taken := self.spool.drain(settle)):
                settled += taken
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except UNAVAILABLE_ERRORS as error:
            connection.close()
            database.note_unavailable(error)
            raise
        database.note_available()
        return settled

    async def close(self) -> None:
        """Commit all queued rows, and close the database connection."""
        with suppress(DatabaseError):  # the next process with this state directory will settle the spool
            await with_timeout(self._finish())
        self.spool.release()

    async def _finish(self) -> None:
        await self._claims.drain()
        await self._rows.drain()
        await self.drain()
        await self.run(lambda: connection.close())  # the thread's own connection

    async def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the ledger's thread, between commits, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def commit(entries: list[Entry]) -> list[DatabaseError | None]:
    """Write the entries to the ledger. Return None or an error for each entry."""

    def write(entries: list[Entry]) -> list[None]:
        post_entries(entries)
        return [None] * len(entries)

    started = time.monotonic()
    try:
        return together_or_each(entries, write)
    finally:
        ledger_write_seconds.observe(time.monotonic() - started)


def settle(kept: Sequence[SpooledEntry]) -> list[SpooledEntry]:
    """Write the entries that the ledger does not have yet. Return the entries that the ledger can never accept.

    Raise ``DatabaseError`` if the database is unavailable.
    """
    try:
        _settle(kept)
    except (IntegrityError, DataError):
        if len(kept) == 1:
            return [] if _settled(kept) else [*kept]  # an earlier commit may have succeeded although it seemed to fail
        return [refused for one in kept for refused in settle([one])]
    return []


@transaction.atomic
def _settle(kept: Sequence[SpooledEntry]) -> None:
    known = _settled(kept)
    entries: dict[str | None, tuple[Entry, datetime]] = {}
    for one in kept:
        if one.entry.settlement in known:
            continue
        entry = one.entry
        if one.stream and not OpenStream.objects.filter(key=one.stream).delete()[0]:
            entry = one.rest or entry
        entries[entry.settlement] = entry, one.at
    if entries:
        post_entries([entry for entry, _at in entries.values()], [at for _entry, at in entries.values()])


def _settled(kept: Sequence[SpooledEntry]) -> set[str | None]:
    ids = [one.entry.settlement for one in kept]
    return set(LedgerEntry.objects.filter(settlement__in=ids).values_list("settlement", flat=True))


@transaction.atomic
def free_settled(entry: Entry) -> bool:
    """If the ledger already has a row with the entry's settlement id, free the entry's reservation, and return True."""
    has = entry.settlement is not None and LedgerEntry.objects.filter(settlement=entry.settlement).exists()
    if has and entry.reservation:
        release(entry.reservation)
    return has


async def keep_draining() -> None:
    """Run ``drain`` every ``DRAIN_S`` seconds until cancelled."""
    while True:
        try:
            await ledger().drain()
        except DatabaseError:
            pass  # the outage has already been logged
        except Exception:
            logger.exception("the spool cannot be settled")
        await asyncio.sleep(DRAIN_S)


def reserve(claims: list[Claim]) -> list[Outcome | DatabaseError]:
    """Try to reserve the units of all claims. Return an outcome or an error for each claim."""
    return together_or_each(claims, reserve_all)


ledger = PerLoop(LedgerWriter)
