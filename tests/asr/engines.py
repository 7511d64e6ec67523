"""Reach into an engine, for tests that look at its model."""

from __future__ import annotations

from faster_whisper import WhisperModel

from asr.batched_model import BatchedModel
from asr.whisper_engine import WhisperEngine


def whisper_of(engine: WhisperEngine) -> WhisperModel:
    """Return the model of an engine that uses CTranslate2."""
    assert isinstance(engine._model, BatchedModel)
    return engine._model.whisper
