"""Add an expiry time to API keys."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("voiceproject", "0001_initial")]

    operations = [
        migrations.AddField(
            "apikey",
            "expires_at",
            models.DateTimeField(
                "expires", null=True, blank=True, help_text="From then on it is refused. Empty: never."
            ),
        )
    ]
