"""The audit trail has room for the longest end user's id, with its flag and client: it was cut at 200 characters."""

from importlib import import_module

from django.db import migrations, models


def protect_again(_apps, schema_editor):
    """SQLite alters a column by making the table anew, without its triggers."""
    if schema_editor.connection.vendor == "sqlite":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER IF EXISTS rollout_change_append_only")
            cursor.execute(import_module("rollout.migrations.0002_flags").SQLITE)


class Migration(migrations.Migration):
    dependencies = [("rollout", "0005_one_voice_flag")]

    operations = [
        migrations.AlterField("change", "subject", models.CharField(max_length=400, db_index=True)),
        migrations.RunPython(protect_again, protect_again),
    ]
