"""Add the table of exchange rates of the US dollar in ringgit."""

from decimal import Decimal

import django.core.validators
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0010_slices_filled")]

    operations = [
        migrations.CreateModel(
            name="ExchangeRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(default=django.utils.timezone.localdate, unique=True, verbose_name="from")),
                (
                    "ringgit",
                    models.DecimalField(
                        decimal_places=4,
                        max_digits=8,
                        validators=[django.core.validators.MinValueValidator(Decimal("0.0001"))],
                        verbose_name="ringgit for a US dollar",
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        help_text="Where it comes from, such as the central bank's middle rate.", max_length=200
                    ),
                ),
            ],
            options={"ordering": ["-day"]},
        ),
    ]
