"""Count people by feature and language too, and response times by client application and language.

The next migration fills the new columns from the ledger.
"""

import django.db.models.deletion
from django.db import migrations, models


def slice_of(model):
    return [
        migrations.AddField(model, "feature", models.CharField(blank=True, default="", max_length=16)),
        migrations.AddField(model, "language", models.CharField(blank=True, default="", max_length=35)),
    ]


def key(model, name, *fields):
    return [
        migrations.RemoveConstraint(model, name),
        migrations.AddConstraint(model, models.UniqueConstraint(fields=fields, name=name)),
    ]


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_settlement")]

    operations = [
        migrations.DeleteModel("DailyLatency"),
        migrations.CreateModel(
            name="DailyLatency",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("transcription", "Transcription"),
                            ("translation", "Translation"),
                            ("speech", "Speech"),
                            ("realtime", "Realtime"),
                        ],
                        max_length=16,
                    ),
                ),
                ("language", models.CharField(max_length=35)),
                ("ceiling_ms", models.PositiveIntegerField()),
                ("requests", models.BigIntegerField(default=0)),
                (
                    "client",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="voiceproject.clientapplication",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "daily latency",
                "ordering": ["day", "kind", "ceiling_ms"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "client", "kind", "language", "ceiling_ms"), name="daily_latency_key"
                    )
                ],
            },
        ),
        *slice_of("userweek"),
        *slice_of("dailyactive"),
        *slice_of("cohortweek"),
        *key("userweek", "user_week_key", "client", "person", "week", "feature", "language"),
        *key("dailyactive", "daily_active_key", "day", "client", "feature", "language"),
        *key("cohortweek", "cohort_week_key", "first", "week", "client", "feature", "language"),
    ]
