"""Add a unique settlement id to the ledger, so that a row is not added twice if a spooled row is written again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0007_weeks_filled")]

    operations = [
        migrations.AddField(
            model_name="ledgerentry",
            name="settlement",
            field=models.CharField(
                max_length=32,
                null=True,
                editable=False,
                help_text="Of which there is one row, however often it was written.",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(fields=["settlement"], name="ledger_settled_once"),
        ),
    ]
