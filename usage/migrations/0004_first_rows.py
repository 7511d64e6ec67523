"""Add example costs, and a default plan with limits that only abuse would reach. Operators should replace both."""

from django.db import migrations

MICROS = 1_000_000

DEFAULT_PLAN = {
    "description": "Nothing to pay; limits that only abuse reaches.",
    "included_audio_minutes": 1_000_000,
    "soft_audio_minutes": 800_000,
    "hard_audio_minutes": 1_000_000,
    "included_characters": 1_000_000_000,
    "soft_characters": 800_000_000,
    "hard_characters": 1_000_000_000,
}
# List prices of one large cloud, rounded; speech synthesis on the GPU takes about as long as recognition.
COSTS = (
    {"resource": "t4", "note": "List price, on demand", "quantity": 1, "price_micros": 530_000, "per": "hour"},
    {"resource": "api_pod", "note": "2 CPU, 4 GiB", "quantity": 2, "price_micros": 60 * MICROS, "per": "month"},
    {"resource": "other", "note": "Database, Redis, traffic", "quantity": 1, "price_micros": 80 * MICROS, "per": "month"},
)


def make(apps, _schema_editor):
    Plan, InfrastructureCost = apps.get_model("usage", "Plan"), apps.get_model("usage", "InfrastructureCost")
    Plan.objects.get_or_create(name="standard", defaults={**DEFAULT_PLAN, "is_default": True})
    for cost in COSTS:
        InfrastructureCost.objects.create(**cost)


class Migration(migrations.Migration):
    dependencies = [("usage", "0003_billing")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
