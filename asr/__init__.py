"""Speech to text. ``models_offered`` is what the list of models shows of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceproject.catalogue import ModelCard


def models_offered() -> list[ModelCard]:
    from asr.checkpoint import configured
    from voiceproject.catalogue import ModelCard, Task

    checkpoint = configured()
    owner = "voice" if checkpoint.bundled else checkpoint.source.rpartition("/")[0].rpartition("/")[2] or "openai"
    return [ModelCard(checkpoint.name, Task.TRANSCRIPTION, owned_by=owner)]
