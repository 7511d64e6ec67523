"""Which text-to-speech models can be asked for."""

from __future__ import annotations

from gateway.catalogue import ModelCard, Task
from tts.voices import catalogue, default_voice


def models_offered() -> list[ModelCard]:
    """Every model that has a voice, the default first."""
    engines = {model: voice.engine for model, voice in catalogue().models().items()}
    first = default_voice().model
    return [
        ModelCard(model, Task.SPEECH, owned_by=engines[model])
        for model in sorted(engines, key=lambda model: model != first)
    ]
