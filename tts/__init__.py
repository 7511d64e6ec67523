"""Text to speech: speakable text, sentences, voices, engines, audio files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.catalogue import ModelCard


def models_offered() -> list[ModelCard]:
    """Return the text-to-speech models that a request may name, the default first."""
    from tts.offers import models_offered as offered  # here, because training scripts use tts.espeak without Django

    return offered()
