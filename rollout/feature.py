"""The parts of voice that are rolled out, each with its own flag; a flag's name is its feature's."""

from __future__ import annotations

from enum import StrEnum


class Feature(StrEnum):
    """Speech to text, text to speech, live speech to text."""

    ASR = "asr"
    TTS = "tts"
    REALTIME = "realtime"
