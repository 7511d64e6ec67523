"""Names of the features that are rolled out.

One flag covers voice as a whole, and each part of voice has a flag of its own. A part's flag can only restrict what the
flag of voice allows.
"""

from __future__ import annotations

from enum import StrEnum

VOICE = "voice"  # the flag's name


class Feature(StrEnum):
    """The parts of voice: speech to text, text to speech, live speech to text. Each has a flag of the same name."""

    ASR = "asr"
    TTS = "tts"
    REALTIME = "realtime"
