"""Rebuild roll-ups and quota counters from the ledger. A second rebuild gives the same result.

While a day or a month is being rebuilt, other writers wait. The rebuild includes all rows written before it, and rows
that are written afterwards are added as usual.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from django.db import connection, models, transaction
from django.db.models import Max, Min, Sum
from django.utils import timezone

from usage import activity, upsert
from usage.entry import Kind, Measure
from usage.ledger_posting import DAILY, DailyTally
from usage.models import CohortWeek, Consumption, DailyActive, DailyUse, LedgerEntry, UserWeek
from usage.period import day_of, month_after, start_of


def rebuild(first: date | None = None, last: date | None = None) -> int:
    """Rebuild the days from ``first`` to ``last`` inclusive, and the quota counters of their months.

    Return the number of rebuilt days.

    ``first``: first day to rebuild; None: the first day with usage.
    ``last``: last day to rebuild; None: today.
    """
    known = [*_known_days()]
    if not known and first is None:
        return 0
    first = first or min(known)
    last = last or max([*known, day_of(timezone.now())])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    for day in days:
        rebuild_day(day)
    rebuild_activity()
    for month in sorted({day.replace(day=1) for day in days}):
        rebuild_month(month)
    return len(days)


@transaction.atomic
def rebuild_day(day: date) -> None:
    """Rebuild the daily roll-ups and the ``UserWeek`` rows for one day, but not the counts of active people."""
    _lock(*DAILY, UserWeek)
    for model in DAILY:
        model._default_manager.filter(day=day).delete()
    activity.forget(day)
    tally = DailyTally()
    rows = LedgerEntry.objects.filter(created_at__gte=start_of(day), created_at__lt=start_of(day + timedelta(days=1)))
    for row in rows.order_by().iterator():
        tally.count(row)
    tally.add()
    activity.mark(tally.served)


@transaction.atomic
def rebuild_activity() -> None:
    """Recount active and returning people from all rows of ``UserWeek``.

    Recounting only some days would give wrong results, because each day affects the counts of the next 30 days.
    """
    _lock(UserWeek, DailyActive, CohortWeek)
    activity.recount()


@transaction.atomic
def rebuild_month(month: date) -> None:
    """Rebuild the used units of the month's quotas from the daily roll-ups. Do not change the reserved units."""
    _lock(Consumption)
    Consumption.objects.filter(month=month).update(used=0)
    sums: dict[tuple[int, str, date, str], list[int]] = defaultdict(lambda: [0, 0])
    rows = DailyUse.objects.filter(day__gte=month, day__lt=month_after(month))
    by_kind = rows.order_by().values_list("client_id", "user", "kind").annotate(Sum("audio_ms"), Sum("characters"))
    for client_id, user, kind, audio_ms, characters in by_kind.iterator():
        measure = Kind(kind).measure
        units = characters if measure is Measure.CHARACTERS else audio_ms
        if units:
            sums[(client_id, user, month, measure.value)][0] += units
    upsert.add(Consumption, sums)


def _known_days() -> Iterator[date]:
    in_ledger = LedgerEntry.objects.order_by().aggregate(first=Min("created_at"), last=Max("created_at"))
    yield from (day_of(moment) for moment in in_ledger.values() if moment)
    in_rollups = DailyUse.objects.order_by().aggregate(first=Min("day"), last=Max("day"))
    yield from (day for day in in_rollups.values() if day)


def _lock(*tables: type[models.Model]) -> None:
    """Lock the tables against other writers until the transaction ends.

    SQLite needs no lock, because it has only one writer.
    """
    if connection.vendor == "postgresql":
        names = ", ".join(upsert.quoted(model._meta.db_table) for model in tables)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
