"""When a change was made is a default now: a history may be written down afterwards."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0002_flags")]

    # Only the state: the column is the same, and altering it would take the table's triggers away on SQLite.
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
