"""Save the usage of open streams at intervals, so that little usage is lost if the process is killed.

While a stream is open, an ``OpenStream`` row (its checkpoint) stores the usage so far. When the stream ends, it is
settled: one transaction deletes the checkpoint and adds the ledger row. So a stream normally has one ledger row.

If a process is killed, its checkpoints become stale. Every process calls ``recover`` at its start and then regularly.
``recover`` replaces each stale checkpoint with a ledger row. Usage after the last checkpoint is lost, but no usage is
counted twice. If the process was only suspended, or the stream was silent for long, the process notices that its
checkpoint is gone. It then adds only the difference to the ledger.

Threads: all database work runs in the ledger's thread, in turn with the ledger's commits.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import uuid
from datetime import timedelta
from functools import partial

from django.db import DatabaseError, transaction
from django.utils import timezone

from core.db_health import UNAVAILABLE_ERRORS, database, with_timeout
from usage.entry import Entry, Kind
from usage.ledger_posting import post_entries
from usage.ledger_writer import ledger
from usage.models import OpenStream
from usage.spool import SpooledEntry

logger = logging.getLogger(__name__)

CHECKPOINT_AUDIO_S = 10.0  # seconds of audio between two checkpoints of a stream
STALE_S = 120.0
RECOVERY_S = 60.0


class UsageCheckpoint:
    """Writes the checkpoints and the ledger row of one piece of work.

    If ``note`` is never called, there is no checkpoint, and ``settle`` only writes the ledger row.
    """

    def __init__(self) -> None:
        self._key = uuid.uuid4().hex
        self._saved: Entry | None = None
        self._recovered: Entry | None = None  # the usage that another process has already settled
        self._writing: asyncio.Task[None] | None = None

    async def save(self, entry: Entry) -> None:
        """Save a checkpoint. Raise ``DatabaseError`` if the database is unavailable.

        Cancelling the caller does not cancel the write. ``settle`` waits until the write has ended, because it must
        know whether the checkpoint exists.

        ``entry``: the usage so far.
        """
        await with_timeout(self._wait_for_write())
        self._writing = asyncio.create_task(self._save(dataclasses.replace(entry, settlement=None)))
        await with_timeout(asyncio.shield(self._writing))

    async def _wait_for_write(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _save(self, entry: Entry) -> None:
        database.check()
        kept = await ledger().run(partial(_store, self._key, self._open(entry), first=self._saved is None))
        if not kept:
            self._recovered = self._saved
            await ledger().run(partial(_store, self._key, self._open(entry), first=True))
        self._saved = entry

    async def settle(self, entry: Entry) -> None:
        """Write the ledger row, or spool it (``usage.spool``) if the database is unavailable.

        The checkpoint is deleted in the transaction that writes the row. Raise ``DatabaseError`` if the row can neither
        be written nor be spooled.

        ``entry``: the complete usage.
        """
        whole = self._open(entry)
        rest = _difference(entry, self._saved) if self._saved else entry
        try:
            await with_timeout(self._wait_for_write())
            if self._saved is None:
                await ledger().write(entry)
                return
            whole = self._open(entry)
            rest = _difference(entry, self._saved)
            await with_timeout(ledger().run(partial(database.call, _settle, self._key, whole, rest)))
        except UNAVAILABLE_ERRORS as error:
            await ledger().keep(SpooledEntry(whole, timezone.now(), stream=self._key, rest=rest), error)

    def _open(self, entry: Entry) -> Entry:
        return _difference(entry, self._recovered) if self._recovered else entry


def _difference(entry: Entry, counted: Entry) -> Entry:
    return dataclasses.replace(
        entry,
        audio_ms=max(0, entry.audio_ms - counted.audio_ms),
        characters=max(0, entry.characters - counted.characters),
    )


def _store(key: str, entry: Entry, *, first: bool) -> bool:
    """Insert the checkpoint if ``first``, else update it. Return False if the checkpoint to update does not exist."""
    values = {"entry": dataclasses.asdict(entry), "noted_at": timezone.now()}
    if first:
        OpenStream.objects.create(key=key, **values)
        return True
    return bool(OpenStream.objects.filter(key=key).update(**values))


def _settle(key: str, entry: Entry, rest: Entry) -> None:
    with transaction.atomic():
        deleted, _by_model = OpenStream.objects.filter(key=key).delete()
        post_entries([entry if deleted else rest])


def recover(stale_s: float = STALE_S) -> int:
    """Replace each checkpoint older than ``stale_s`` seconds with a ledger row. Return the number of checkpoints."""
    recovered = 0
    for stream in OpenStream.objects.filter(noted_at__lt=timezone.now() - timedelta(seconds=stale_s)):
        with transaction.atomic():
            # Filter by ``noted_at`` too, because the checkpoint may have been updated or recovered since the query.
            deleted, _by_model = OpenStream.objects.filter(key=stream.key, noted_at=stream.noted_at).delete()
            if deleted:
                post_entries([Entry(**{**stream.entry, "kind": Kind(stream.entry["kind"])})])
                recovered += 1
    return recovered


async def keep_recovering() -> None:
    """Run ``recover`` every ``RECOVERY_S`` seconds until cancelled."""
    while True:
        try:
            if count := await ledger().run(recover):
                logger.warning("settled streams of a process that was killed", extra={"streams": count})
        except DatabaseError:
            logger.warning("cannot look for streams to settle", exc_info=True)
        await asyncio.sleep(RECOVERY_S)
