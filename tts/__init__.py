"""Text to speech: make text speakable, split it into sentences, choose voices, run the engines and encode the audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.catalogue import ModelCard

DID_NOT_LOAD = (
    "Kokoro is installed and did not load, so eSpeak NG serves: it sounds synthetic. The service's log says why."
)


def models_offered() -> list[ModelCard]:
    """Return the text-to-speech models that a request may name. The default model comes first."""
    # Imported here because the training scripts import ``tts.espeak`` without Django.
    from django.conf import settings

    from gateway.catalogue import ModelCard, Task
    from inference import runtime
    from model_store import catalogue as model_store
    from model_store.choice import chosen
    from tts.brownout import NEURAL
    from tts.voices import catalogue, default_voice

    engines = {model: voice.engine for model, voice in catalogue().models().items()}
    first = default_voice().model
    notice = DID_NOT_LOAD if runtime.uses_fallback(NEURAL) and NEURAL in engines.values() else ""
    if not notice and not settings.VOICE_INFERENCE_URL:
        notice = str(chosen(model_store.Task.SPEECH).notice)
    return [
        ModelCard(model, Task.SPEECH, owned_by=engines[model], notice=notice if model == first else "")
        for model in sorted(engines, key=lambda model: model != first)
    ]
