"""Add a flag for each feature, switched off, and database triggers that keep the audit trail append-only."""

from django.db import migrations

FLAGS = {"asr": "Speech to text", "tts": "Text to speech", "realtime": "Live speech to text"}

POSTGRESQL = """
CREATE FUNCTION rollout_change_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER rollout_change_append_only BEFORE UPDATE OR DELETE ON rollout_change
FOR EACH ROW EXECUTE FUNCTION rollout_change_is_append_only();
"""
# On SQLite, only the model refuses deletions, because Django empties test databases with DELETE.
SQLITE = """
CREATE TRIGGER rollout_change_append_only BEFORE UPDATE ON rollout_change
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
"""


def make_flags(apps, _schema_editor):
    Flag = apps.get_model("rollout", "Flag")
    for name, note in FLAGS.items():
        Flag.objects.get_or_create(name=name, defaults={"note": note, "percent": 0})


def protect(_apps, schema_editor):
    statements = {"postgresql": POSTGRESQL, "sqlite": SQLITE}.get(schema_editor.connection.vendor)
    if statements:
        # Not through a cursor's parameters: the function's body has no use for them.
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(statements)


def unprotect(_apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == "postgresql":
            cursor.execute("DROP TRIGGER rollout_change_append_only ON rollout_change")
            cursor.execute("DROP FUNCTION rollout_change_is_append_only()")
        elif schema_editor.connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER rollout_change_append_only")


class Migration(migrations.Migration):
    dependencies = [("rollout", "0001_initial")]

    operations = [
        migrations.RunPython(make_flags, migrations.RunPython.noop),
        migrations.RunPython(protect, unprotect),
    ]
