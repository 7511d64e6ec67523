"""Names of the features that are rolled out: voice as a whole, and its parts.

Each has a flag. An end user can use a part only if both the part's flag and the flag for voice are on for this user.
"""

from __future__ import annotations

from enum import StrEnum

VOICE = "voice"  # name of the flag for voice as a whole


class Feature(StrEnum):
    """The parts of voice: speech to text, text to speech, live speech to text. Each has a flag of the same name."""

    ASR = "asr"
    TTS = "tts"
    REALTIME = "realtime"
