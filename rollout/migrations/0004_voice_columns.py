"""Prepare one flag for voice as a whole: keep each part's old percentage, and add a column for the new one.

No column is renamed, and each new column may be empty or has a default in the database. So processes of the previous
version can still read and write their columns.
"""

from decimal import Decimal

import django.utils.timezone
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models

KEPT = "Of end users: had this part by a percentage of its own before voice was one flag, and keep it."
LIMITS = [MinValueValidator(0), MaxValueValidator(100)]


def percent(verbose_name=None, **options):
    return models.DecimalField(verbose_name, max_digits=5, decimal_places=2, validators=LIMITS, **options)


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0003_change_at"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameField("flag", "percent", "kept_percent"),
                migrations.AlterField(
                    "flag",
                    "kept_percent",
                    percent("kept from before", null=True, blank=True, db_column="percent", help_text=KEPT),
                ),
                migrations.RenameField("clientshare", "percent", "kept_percent"),
                migrations.AlterField(
                    "clientshare",
                    "kept_percent",
                    percent("kept from before", default=0, editable=False, db_column="percent"),
                ),
            ]
        ),
        migrations.AddField(
            "flag",
            "percent",
            percent(
                null=True,
                blank=True,
                db_column="reach",
                help_text="Of all end users. Raising it adds users, lowering it removes the latest.",
            ),
        ),
        migrations.AddField(
            "clientshare",
            "percent",
            percent(
                db_default=Decimal(100),
                db_column="reach",
                help_text="0: none of this client's users, 100: all; of a part, all who have voice.",
            ),
        ),
        migrations.AlterField("flag", "name", models.CharField(max_length=100, unique=True)),
        migrations.AlterField("flag", "note", models.TextField(blank=True, help_text="What people call it.")),
        migrations.AlterField(
            "flag", "created", models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False)
        ),
        migrations.AlterField(
            "flag", "modified", models.DateTimeField(default=django.utils.timezone.now, editable=False)
        ),
        migrations.AlterField(
            "flag",
            "users",
            models.ManyToManyField(blank=True, to=settings.AUTH_USER_MODEL, help_text="These accounts of this service."),
        ),
        migrations.AlterField(
            "flag",
            "groups",
            models.ManyToManyField(blank=True, to="auth.group", help_text="Accounts of this service in these groups."),
        ),
        migrations.AlterModelOptions(
            "flag",
            {
                "ordering": [
                    models.Case(models.When(name="voice", then=models.Value(0)), default=models.Value(1)),
                    "id",
                ],
                "verbose_name": "flag",
            },
        ),
    ]
