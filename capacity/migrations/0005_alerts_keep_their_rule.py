"""Store the rule's severity, metric and threshold in each alert. Existing alerts get their rule's current values.

The new columns have defaults in the database, so that processes of the previous version can still insert alerts.
"""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery

SEVERITIES = [("critical", "Critical"), ("warning", "Warning")]
METRICS = [
    ("users", "Concurrent users"),
    ("p95_s", "p95 response, seconds"),
    ("error_percent", "Error rate, %"),
    ("gpu_percent", "GPU utilisation, %"),
    ("month_cost_usd", "Monthly cost, USD"),
]
WHEN = "As the rule's when it fired."


def fill(apps, _schema_editor):
    rule = apps.get_model("capacity", "Rule").objects.filter(pk=OuterRef("rule_id"))
    kept = {name: Subquery(rule.values(name)) for name in ("severity", "metric", "threshold")}
    apps.get_model("capacity", "Alert").objects.update(**kept)


class Migration(migrations.Migration):
    dependencies = [("capacity", "0004_gpu_memory_and_phases_of_rules")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="severity",
            field=models.CharField(max_length=8, choices=SEVERITIES, db_default="", help_text=WHEN),
        ),
        migrations.AddField(
            model_name="alert",
            name="metric",
            field=models.CharField(max_length=20, choices=METRICS, db_default="", help_text=WHEN),
        ),
        migrations.AddField(
            model_name="alert",
            name="threshold",
            field=models.FloatField(db_default=0, help_text="Above which it fired, in the phase of that time."),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
