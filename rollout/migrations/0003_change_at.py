"""Let code set the time of a change. The current time is only the default, so past changes can be recorded too."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0002_flags")]

    # Change only Django's state. The column stays the same, and altering it on SQLite would drop the table's triggers.
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="change",
                    name="at",
                    field=models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False),
                )
            ]
        )
    ]
