"""Fill the tables of migration 0006 from existing daily roll-ups, and set the days of corrections and ratings."""

from collections import defaultdict

from django.db import migrations
from django.db.models import F

from usage.period import day_of
from usage.activity import Activity, bit, person, week_of

BATCH = 1000


def fill(apps, _schema_editor):
    model = {name: apps.get_model("usage", name) for name in ("DailyUse", "UserWeek", "DailyActive", "CohortWeek")}
    days = defaultdict(set)
    served = model["DailyUse"].objects.filter(requests__gt=F("failed")).order_by()
    for day, client_id, user in served.values_list("day", "client_id", "user").iterator():
        days[client_id, person(client_id, user)].add(day)
    weeks, activity = defaultdict(int), Activity()
    for (client_id, number), some in days.items():
        known = []
        for day in sorted(some):
            activity.add(client_id, known, day)
            weeks[client_id, number, week_of(day)] |= bit(day)
    model["UserWeek"].objects.bulk_create(
        [
            model["UserWeek"](client_id=client_id, person=number, week=week, days=mask)
            for (client_id, number, week), mask in weeks.items()
        ],
        BATCH,
    )
    model["DailyActive"].objects.bulk_create(
        [
            model["DailyActive"](day=day, client_id=client_id, users=users, change_7=change_7, change_30=change_30)
            for (day, client_id, *_), (users, change_7, change_30) in activity.active.items()
        ],
        BATCH,
    )
    model["CohortWeek"].objects.bulk_create(
        [
            model["CohortWeek"](first=first, week=week, client_id=client_id, users=users)
            for (first, week, client_id, *_), (users,) in activity.cohorts.items()
        ],
        BATCH,
    )
    for name in ("Correction", "Rating"):
        rows = list(apps.get_model("usage", name).objects.select_related("entry"))
        for row in rows:
            row.day = day_of(row.entry.created_at)
        apps.get_model("usage", name).objects.bulk_update(rows, ["day"], BATCH)


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_weeks")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
