"""Names of the features that are rolled out.

There is a flag for voice as a whole, and one for each part of voice. An end user has a part only if both flags are on
for this end user.
"""

from __future__ import annotations

from enum import StrEnum

VOICE = "voice"  # name of the flag for voice as a whole


class Feature(StrEnum):
    """The parts of voice: speech to text, text to speech, live speech to text. Each has a flag of the same name."""

    ASR = "asr"
    TTS = "tts"
    REALTIME = "realtime"
