"""Add GPU memory to samples, and thresholds for users and cost that depend on the deployed phase."""

import django.core.validators
from django.db import migrations, models

# Severity, metric, threshold of migration 0002, and percentage of the phase's upper limit: 60 and 80 users of the 100 of
# phase 2, and the full cost of a phase. Thresholds that operators have changed stay as they are, in every phase.
SHARES = [("critical", "users", 80, 80), ("warning", "users", 60, 60), ("warning", "month_cost_usd", 2000, 100)]


def set_shares(apps, _schema_editor):
    rules = apps.get_model("capacity", "Rule").objects
    for severity, metric, threshold, percent in SHARES:
        untouched = rules.filter(severity=severity, metric=metric, threshold=threshold, phase_percent=None)
        untouched.update(phase_percent=percent)


class Migration(migrations.Migration):
    dependencies = [("capacity", "0003_load_test_run")]

    operations = [
        migrations.AddField(
            model_name="rule",
            name="phase_percent",
            field=models.FloatField(
                blank=True,
                help_text="Of users and cost: so many percent of the most that the phase in VOICE_PHASE is for, where "
                "that is more than the threshold. Empty: the threshold in every phase.",
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="of the phase, %",
            ),
        ),
        migrations.AddField(
            model_name="sample",
            name="gpu_memory_percent",
            field=models.FloatField(
                help_text="The fullest GPU, at this moment.", null=True, verbose_name="GPU memory, %"
            ),
        ),
        migrations.RunPython(set_shares, migrations.RunPython.noop),
    ]
