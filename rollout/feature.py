"""Names of the features that are rolled out.

One flag covers all of voice. Each part of voice has a flag too, which can only narrow what the first one allows.
"""

from __future__ import annotations

from enum import StrEnum

VOICE = "voice"  # the flag's name


class Feature(StrEnum):
    """The parts of voice: speech to text, text to speech, live speech to text. Each has a flag of the same name."""

    ASR = "asr"
    TTS = "tts"
    REALTIME = "realtime"
