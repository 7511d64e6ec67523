"""Write ledger rows, and update the roll-ups and the used quota in the same transaction.

To avoid deadlocks, every transaction locks tables in this order: daily roll-ups, activity, reservations, consumption.
Within a table, it locks rows in the order of their keys.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone

from usage import activity, upsert
from usage.entry import Entry
from usage.models import Consumption, DailyLatency, DailyMix, DailyUse, LedgerEntry, ReservedQuota
from usage.period import day_of

# Upper bounds of the latency histogram's buckets, in milliseconds. Each bound is about a fifth higher than the previous
# one, so a percentile from the histogram is at most a fifth too high.
CEILINGS_MS = sorted({round(2 ** (step / 4)) for step in range(4 * 24)})

DAILY: tuple[type[models.Model], ...] = (DailyUse, DailyMix, DailyLatency)


def post_entries(entries: Sequence[Entry], times: Sequence[datetime] | None = None) -> list[LedgerEntry]:
    """Write entries to the ledger, update the roll-ups, and free the entries' reservations. Return the ledger rows.

    Call this inside a transaction.

    ``times``: time of the work of each entry; None: now.
    """
    now = timezone.now()
    rows = [_row(entry, at) for entry, at in zip(entries, times or [now] * len(entries), strict=True)]
    write(rows, [entry.reservation for entry in entries if entry.reservation])
    return rows


def write(rows: list[LedgerEntry], reservations: Sequence[str] = ()) -> None:
    """Insert new ledger rows, update the roll-ups, and free reservations. Call this inside a transaction.

    ``reservations``: keys of the reservations to free.
    """
    LedgerEntry.objects.bulk_create(rows)
    roll_up(rows, reservations)


def roll_up(rows: Iterable[LedgerEntry], reservations: Sequence[str] = ()) -> None:
    """Add ledger rows to the roll-ups and to the used quota, and free the reservations.

    Call this inside the transaction that writes the rows.
    """
    tally = DailyTally()
    used: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        tally.count(row)
        if row.units:
            used[(row.client_id, row.user, day_of(row.created_at).replace(day=1), row.measure.value)][0] += row.units
    tally.add()
    activity.record(tally.served)
    if reservations:
        for key, units in _freed(reservations):
            used[key][1] -= units
    upsert.add(Consumption, used)


class DailyTally:
    """Sums of ledger rows for the daily roll-ups.

    ``served``: keys of the counts of people to which the successful requests add (``usage.activity.served``).
    """

    def __init__(self) -> None:
        self._sums: dict[type[models.Model], dict[tuple[Any, ...], list[int]]] = {model: {} for model in DAILY}
        self.served: set[activity.Served] = set()

    def count(self, row: LedgerEntry) -> None:
        """Add one ledger row to the sums."""
        day = day_of(row.created_at)
        requests = int(row.counters_id is None)
        audio_ms, characters = (row.audio_ms, row.characters) if row.is_charged else (0, 0)
        failed = requests * int(row.status != 200)
        self._add(DailyUse, (day, row.client_id, row.user, row.kind), requests, failed, audio_ms, characters)
        mix = (day, row.client_id, row.kind, row.model, row.voice, row.language, row.error_code)
        self._add(DailyMix, mix, requests, audio_ms, characters, row.queue_ms, row.total_ms)
        if requests and not failed:
            self.served.update(activity.served(day, row.client_id, row.user, row.kind, row.language))
        if requests and not failed and not row.is_live:  # the duration of a live stream is not a response time
            self._add(DailyLatency, (day, row.client_id, row.kind, row.language, ceiling_ms(row.total_ms)), 1)

    def add(self) -> None:
        """Add the sums to the daily roll-ups in the database."""
        for model in DAILY:
            upsert.add(model, self._sums[model])

    def _add(self, model: type[models.Model], key: tuple[Any, ...], *amounts: int) -> None:
        known = self._sums[model].get(key)
        if known is None:  # store plain strings as keys; enum members equal their values, so they find these keys
            self._sums[model][tuple(str(part) if isinstance(part, str) else part for part in key)] = list(amounts)
            return
        for place, more in enumerate(amounts):
            known[place] += more


def ceiling_ms(took_ms: int) -> int:
    """Return the upper bound of the histogram bucket for a response time. Both are in milliseconds."""
    return CEILINGS_MS[min(bisect_left(CEILINGS_MS, took_ms), len(CEILINGS_MS) - 1)]


def _row(entry: Entry, now: datetime) -> LedgerEntry:
    values = dataclasses.asdict(entry)
    del values["reservation"]
    return LedgerEntry(**values, created_at=now)


def _freed(keys: Iterable[str]) -> list[tuple[tuple[Any, ...], int]]:
    """Delete the reservations with these keys.

    Return, for each of them, the key of its consumption row (``key_of``) and the number of units that it held.
    """
    held = list(
        ReservedQuota.objects.select_for_update(of=("self",))
        .filter(key__in=keys)
        .select_related("consumption")
        .order_by("key")
    )
    ReservedQuota.objects.filter(key__in=[one.key for one in held]).delete()
    return [(key_of(one.consumption), one.units) for one in held]


def key_of(consumption: Consumption) -> tuple[Any, ...]:
    """Return the key of a consumption row: client application, end user, month and measure."""
    return (consumption.client_id, consumption.user, consumption.month, consumption.measure)
