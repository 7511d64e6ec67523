"""A notification may be a test, of no alert."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("capacity", "0004_gpu_memory_and_phases_of_rules")]

    operations = [
        migrations.AlterField(
            "delivery",
            "alert",
            models.ForeignKey(
                "capacity.alert",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                help_text="Empty: a test.",
            ),
        )
    ]
