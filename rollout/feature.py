"""The features that are rolled out: voice, one flag for all of it, and its parts, which can be narrower but never
wider."""

from __future__ import annotations

from enum import StrEnum

VOICE = "voice"  # the flag's name


class Feature(StrEnum):
    """The parts of voice: speech to text, text to speech, live speech to text. A part's flag has its name."""

    ASR = "asr"
    TTS = "tts"
    REALTIME = "realtime"
