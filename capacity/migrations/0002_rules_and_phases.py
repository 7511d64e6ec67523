"""Create the default alert rules and growth phases. Operators can change them in the admin."""

from django.db import migrations

RULES = [
    ("critical", "users", 80),
    ("critical", "p95_s", 5),
    ("critical", "error_percent", 5),
    ("critical", "gpu_percent", 90),
    ("warning", "users", 60),
    ("warning", "p95_s", 3),
    ("warning", "error_percent", 2),
    ("warning", "month_cost_usd", 2000),
]

# number, name, months, voice users, peak concurrent, T4 GPUs, API pods, cost in USD a month; from and to
AUTOMATIC = (None, None)
PHASES = [
    (1, "Launch", "1–3", (500, 2000), (20, 50), (1, 1), (2, 2), (500, 800)),
    (2, "Growth", "4–6", (2000, 5000), (50, 100), (2, 2), (3, 3), (800, 1200)),
    (3, "Scale", "7–12", (5000, 10000), (100, 200), (3, 4), (4, 5), (1200, 2000)),
    (4, "Expansion", "year 2", (10000, None), (200, 500), AUTOMATIC, AUTOMATIC, (2000, 4000)),
]
COLUMNS = ("users_{}", "concurrent_{}", "gpus_{}", "pods_{}", "cost_{}_usd")


def seed(apps, _schema_editor):
    Rule, Phase = apps.get_model("capacity", "Rule"), apps.get_model("capacity", "Phase")
    for severity, metric, threshold in RULES:
        Rule.objects.get_or_create(severity=severity, metric=metric, defaults={"threshold": threshold})
    for number, name, months, *spans in PHASES:
        facts = {"name": name, "months": months}
        for column, (low, high) in zip(COLUMNS, spans, strict=True):
            facts |= {column.format("from"): low, column.format("to"): high}
        Phase.objects.get_or_create(number=number, defaults=facts)


class Migration(migrations.Migration):
    dependencies = [("capacity", "0001_initial")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
