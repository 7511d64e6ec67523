"""Speech to text. ``models_offered`` returns this app's entry for the list of models (``GET /v1/models``).

Importing the package imports nothing else, so ``asr.native.build`` runs without Django.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.catalogue import ModelCard


def demo_notice() -> str:
    """Return what users are told while the small bundled model is in use."""
    from django.utils.translation import gettext

    return gettext(
        "The small bundled model is on: it understands clear synthetic Malay, not people. "
        "For people, the operator runs manage.py models install --default."
    )


def models_offered() -> list[ModelCard]:
    """Return the entry of the configured transcription model for the list of models."""
    from django.conf import settings

    from asr.checkpoint import configured
    from gateway.catalogue import ModelCard, Task

    checkpoint = configured()
    owner = "voice" if checkpoint.bundled else checkpoint.source.rpartition("/")[0].rpartition("/")[2] or "openai"
    languages = checkpoint.languages or tuple(settings.VOICE_ASR_LANGUAGES)
    notice = demo_notice() if checkpoint.bundled else ""
    return [ModelCard(checkpoint.name, Task.TRANSCRIPTION, owned_by=owner, languages=languages, notice=notice)]
