"""Response-time goals by kind of work. These numbers are defined nowhere else."""

from __future__ import annotations

from enum import StrEnum

# Limits of the 95th percentile of response times, in seconds.
ASR_P95_S = 2.0
TTS_P95_S = 3.0
WARM_UP_SHARE = 1 / 3  # the first part of a load test, in which caches fill and pools grow


class Workload(StrEnum):
    """The kinds of work. For live ones, the measured time is a person's wait, not the length of their speech."""

    ASR = "asr"
    TTS = "tts"
    LIVE_ASR = "live_asr"
    LIVE_TTS = "live_tts"

    @property
    def label(self) -> str:
        return _LABELS[self][0]

    @property
    def measured(self) -> str:
        return _LABELS[self][1]


_LABELS = {
    Workload.ASR: ("Speech to text", "request to last byte"),
    Workload.TTS: ("Text to speech", "request to last byte"),
    Workload.LIVE_ASR: ("Live recognition", "end of speech to its words"),
    Workload.LIVE_TTS: ("Live speech", "end of a sentence to its sound"),
}


# Limits of the 95th percentile, in seconds.
P95_S = {Workload.ASR: ASR_P95_S, Workload.LIVE_ASR: ASR_P95_S, Workload.TTS: TTS_P95_S, Workload.LIVE_TTS: TTS_P95_S}
