"""Lengthen the audit trail's subjects, which were cut at 200 characters, to fit an end user's id, flag and client."""

from importlib import import_module

from django.db import migrations, models
from django.db.migrations.exceptions import IrreversibleError
from django.db.models.functions import Length

LENGTH_BEFORE = 200


def protect_again(_apps, schema_editor):
    """Create the trigger again on SQLite, which alters a column by creating the table anew without its triggers."""
    if schema_editor.connection.vendor == "sqlite":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER IF EXISTS rollout_change_append_only")
            cursor.execute(import_module("rollout.migrations.0002_flags").SQLITE)


def refuse_to_cut(apps, _schema_editor):
    """Refuse to reverse the migration if a subject is too long for the old column, because no row may be changed."""
    changes = apps.get_model("rollout", "Change").objects.annotate(length=Length("subject"))
    too_long = changes.filter(length__gt=LENGTH_BEFORE).count()
    if too_long:
        raise IrreversibleError(
            f"{too_long} rows of the audit trail have subjects longer than {LENGTH_BEFORE} characters, which the version "
            "before has no room for. Restore the backup that was made before the upgrade."
        )


class Migration(migrations.Migration):
    dependencies = [("rollout", "0005_one_voice_flag")]

    operations = [
        # A reversed migration runs these from the last to the first, so it too creates the trigger after the column.
        migrations.RunPython(migrations.RunPython.noop, protect_again),
        migrations.AlterField("change", "subject", models.CharField(max_length=400, db_index=True)),
        migrations.RunPython(protect_again, migrations.RunPython.noop),
        migrations.RunPython(migrations.RunPython.noop, refuse_to_cut),
    ]
