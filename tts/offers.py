"""Which text-to-speech models can be asked for."""

from __future__ import annotations

from django.conf import settings

from gateway.catalogue import ModelCard, Task
from model_store import catalogue as model_store
from model_store.choice import chosen
from tts.voices import catalogue, default_voice


def models_offered() -> list[ModelCard]:
    """Every model that has a voice, the default first."""
    engines = {model: voice.engine for model, voice in catalogue().models().items()}
    first = default_voice().model
    notice = "" if settings.VOICE_INFERENCE_URL else chosen(model_store.Task.SPEECH).notice
    return [
        ModelCard(model, Task.SPEECH, owned_by=engines[model], notice=notice if model == first else "")
        for model in sorted(engines, key=lambda model: model != first)
    ]
