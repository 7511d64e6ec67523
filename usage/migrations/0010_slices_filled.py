"""Fill the counts of people by feature and language, and the response times, from an existing ledger."""

from collections import Counter, defaultdict
from itertools import groupby

from django.db import migrations

from usage.period import day_of
from usage.ledger_posting import ceiling_ms
from usage.activity import Activity, bit, person, served, week_of

BATCH = 1000


def fill(apps, _schema_editor):
    model = {
        name: apps.get_model("usage", name)
        for name in ("LedgerEntry", "UserWeek", "DailyActive", "CohortWeek", "DailyLatency")
    }
    times, days = Counter(), defaultdict(set)
    rows = model["LedgerEntry"].objects.filter(status=200, counters=None).order_by()
    fields = ("created_at", "client_id", "user", "kind", "language", "total_ms", "is_live")
    for created_at, client_id, user, kind, language, total_ms, is_live in rows.values_list(*fields).iterator():
        day = day_of(created_at)
        if not is_live:
            times[day, client_id, kind, language, ceiling_ms(total_ms)] += 1
        for _day, _client, _user, feature, spoken in served(day, client_id, user, kind, language):
            if feature or spoken:  # everybody together has been counted
                days[client_id, user, feature, spoken].add(day)
    model["DailyLatency"].objects.bulk_create(
        [
            model["DailyLatency"](
                day=day, client_id=client_id, kind=kind, language=language, ceiling_ms=ceiling, requests=number
            )
            for (day, client_id, kind, language, ceiling), number in sorted(times.items())
        ],
        BATCH,
    )
    fill_people(model, days)


def fill_people(model, days):
    weeks, activity = defaultdict(int), Activity()
    numbered = ((client_id, person(client_id, user), *of, some) for (client_id, user, *of), some in days.items())
    for (client_id, number, feature, language), parts in groupby(
        sorted(numbered, key=lambda one: one[:4]), lambda one: one[:4]
    ):
        known = []
        for day in sorted(set().union(*(part[4] for part in parts))):  # an id and its pseudonym are one person
            activity.add(client_id, known, day, feature=feature, language=language)
            weeks[client_id, number, week_of(day), feature, language] |= bit(day)
    model["UserWeek"].objects.bulk_create(
        [
            model["UserWeek"](
                client_id=client_id, person=number, week=week, feature=feature, language=language, days=mask
            )
            for (client_id, number, week, feature, language), mask in weeks.items()
        ],
        BATCH,
    )
    model["DailyActive"].objects.bulk_create(
        [
            model["DailyActive"](
                day=day,
                client_id=client_id,
                feature=feature,
                language=language,
                users=users,
                change_7=by_7,
                change_30=by_30,
            )
            for (day, client_id, feature, language), (users, by_7, by_30) in activity.active.items()
        ],
        BATCH,
    )
    model["CohortWeek"].objects.bulk_create(
        [
            model["CohortWeek"](
                first=first, week=week, client_id=client_id, feature=feature, language=language, users=users
            )
            for (first, week, client_id, feature, language), (users,) in activity.cohorts.items()
        ],
        BATCH,
    )


def unfill(apps, _schema_editor):
    for name in ("UserWeek", "DailyActive", "CohortWeek"):
        apps.get_model("usage", name).objects.exclude(feature="", language="").delete()


class Migration(migrations.Migration):
    dependencies = [("usage", "0009_slices")]

    operations = [migrations.RunPython(fill, unfill)]
