"""Correct the ledger with counter-entries.

The amounts of a ledger row are never changed. To correct a row, a counter-entry is added: a row with a negative amount,
which cancels all or part of the original row.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from core.errors import DomainError
from usage.entry import Measure
from usage.ledger_posting import write
from usage.models import LedgerEntry


class CounterEntryError(DomainError):
    """Raised when a counter-entry is not possible. The message gives the reason."""


@transaction.atomic
def take_back(entry: LedgerEntry, *, why: str, by: str, units: int | None = None) -> LedgerEntry:
    """Write a counter-entry that cancels all or part of a ledger row, and return the counter-entry.

    The counter-entry has the same time as the row, so it corrects the roll-ups, the quota and the draft statement of
    the row's month. If the month's statement is final, write a credit note too (``Statement.credit``).

    ``why``: reason to record.
    ``by``: name of the user who writes the counter-entry.
    ``units``: milliseconds or characters to cancel; None: all units that have not been cancelled yet.

    Raise ``CounterEntryError`` if the row is not charged or is itself a counter-entry, if fewer than ``units`` are left
    to cancel, or if ``why`` is empty.
    """
    entry = LedgerEntry.objects.select_for_update(no_key=True).get(pk=entry.pk)
    left = left_of(entry)
    units = left if units is None else units
    if entry.counters_id is not None or not entry.is_charged:
        raise CounterEntryError("Only a row that is charged can be taken back.")
    if not 0 < units <= left:
        raise CounterEntryError(f"Between 1 and {left} units of this row can be taken back.")
    if not why.strip():
        raise CounterEntryError("A counter-entry needs a reason.")
    row = LedgerEntry(
        request_id=entry.request_id,
        kind=entry.kind,
        client_id=entry.client_id,
        user=entry.user,
        model=entry.model,
        voice=entry.voice,
        language=entry.language,
        status=entry.status,
        error_code=entry.error_code,
        created_at=entry.created_at,
        counters=entry,
        note=f"{timezone.localdate()} {by}: {why.strip()}"[:300],
    )
    if entry.measure is Measure.AUDIO:
        row.audio_ms = -units
    else:
        row.characters = -units
    write([row])
    return row


def without_reason(note: str) -> str:
    """Remove the reason from a counter-entry's note, and return the rest: the day and the author."""
    author, colon, _why = note.partition(": ")
    return author + colon.strip()


def left_of(entry: LedgerEntry) -> int:
    """Return how many units (milliseconds or characters) of the row have not been cancelled by counter-entries."""
    sums = entry.counter_entries.aggregate(audio_ms=Sum("audio_ms", default=0), characters=Sum("characters", default=0))
    taken = sums["audio_ms"] if entry.measure is Measure.AUDIO else sums["characters"]
    return entry.units + int(taken)
