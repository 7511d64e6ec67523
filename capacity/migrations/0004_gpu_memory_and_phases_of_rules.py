"""GPU memory in samples; rules on users and cost that begin where the deployed phase is nearly full."""

import django.core.validators
from django.db import migrations, models

# Severity, metric, percent of what the phase is for: the thresholds of 60 and 80 users over the 100 of phase 2, and all
# of a phase's cost.
SHARES = [("critical", "users", 80), ("warning", "users", 60), ("warning", "month_cost_usd", 100)]


def set_shares(apps, _schema_editor):
    rules = apps.get_model("capacity", "Rule").objects
    for severity, metric, percent in SHARES:
        rules.filter(severity=severity, metric=metric, phase_percent=None).update(phase_percent=percent)


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
