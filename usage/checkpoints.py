"""Streams last, so what they use is noted as they go: a checkpoint row per open stream, one ledger row when it ends.

The ledger keeps its rule of one row per piece of work. While a stream is open its running total stands in
``OpenStream``; settling deletes that row and adds the ledger's in one transaction. If the process is killed, the row
grows stale and ``recover`` (run by every process, at its start and then regularly) turns it into the ledger's row,
again in one transaction: what came after the last note is lost, nothing is counted twice. Should the process have been
only frozen, or the stream quiet, it finds its row gone and counts the difference.

Threads: all database work runs in the ledger's thread, in turn with its commits.
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
from usage.models import OpenStream
from usage.posting import post_entries
from usage.spool import SpooledEntry
from usage.writer import ledger

logger = logging.getLogger(__name__)

CHECKPOINT_AUDIO_S = 10.0  # of audio at most between two notes of a stream
STALE_S = 120.0
RECOVERY_S = 60.0


class UsageCheckpoint:
    """The running total of one piece of work. Work that is never noted costs only its ledger row."""

    def __init__(self) -> None:
        self._key = uuid.uuid4().hex
        self._noted: Entry | None = None
        self._recovered: Entry | None = None  # the total when somebody else settled for us
        self._noting: asyncio.Task[None] | None = None

    async def note(self, entry: Entry) -> None:
        """Save the running total. Raises ``DatabaseError``. If the calling task is cancelled, a note under way is still
        finished, since otherwise settling would not know of its row."""
        await with_timeout(self._note_under_way())
        self._noting = asyncio.create_task(self._note(dataclasses.replace(entry, settlement=None)))
        await with_timeout(asyncio.shield(self._noting))

    async def _note_under_way(self) -> None:
        if self._noting is not None:
            await asyncio.wait([self._noting])

    async def _note(self, entry: Entry) -> None:
        database.check()
        kept = await ledger().run(partial(_note, self._key, self._open(entry), first=self._noted is None))
        if not kept:
            self._recovered = self._noted
            await ledger().run(partial(_note, self._key, self._open(entry), first=True))
        self._noted = entry

    async def settle(self, entry: Entry) -> None:
        """Commit the one ledger row, or have it spooled. Raises ``DatabaseError``."""
        whole = self._open(entry)
        rest = _difference(entry, self._noted) if self._noted else entry
        try:
            await with_timeout(self._note_under_way())
            if self._noted is None:
                await ledger().write(entry)
                return
            whole = self._open(entry)
            rest = _difference(entry, self._noted)
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


def _note(key: str, entry: Entry, *, first: bool) -> bool:
    """Write the checkpoint row. Returns False if the row should exist and does not."""
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
    """Settle the streams of killed processes. Returns the number of streams."""
    recovered = 0
    for stream in OpenStream.objects.filter(noted_at__lt=timezone.now() - timedelta(seconds=stale_s)):
        with transaction.atomic():
            # The filter on the time: it may have been noted, or recovered elsewhere, a moment ago.
            deleted, _by_model = OpenStream.objects.filter(key=stream.key, noted_at=stream.noted_at).delete()
            if deleted:
                post_entries([Entry(**{**stream.entry, "kind": Kind(stream.entry["kind"])})])
                recovered += 1
    return recovered


async def keep_recovering() -> None:
    """Run ``recover`` regularly for as long as the process serves."""
    while True:
        try:
            if count := await ledger().run(recover):
                logger.warning("settled streams of a process that was killed", extra={"streams": count})
        except DatabaseError:
            logger.warning("cannot look for streams to settle", exc_info=True)
        await asyncio.sleep(RECOVERY_S)
