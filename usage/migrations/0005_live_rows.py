"""Mark the ledger rows of live streams, because their total time is not a response time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_first_rows")]

    operations = [
        migrations.AddField(
            model_name="ledgerentry",
            name="is_live",
            field=models.BooleanField(default=False, help_text="A stream over a socket: its total time says nothing."),
        ),
    ]
