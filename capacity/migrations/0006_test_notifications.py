"""Allow notifications without an alert: test notifications."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("capacity", "0005_alerts_keep_their_rule")]

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
