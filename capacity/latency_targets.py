"""The targets for response times, by kind of work. All other modules take these numbers from here."""

from __future__ import annotations

from enum import StrEnum

# Upper limits for the 95th percentile of response times, in seconds.
ASR_P95_S = 2.0
TTS_P95_S = 3.0
WARM_UP_SHARE = 1 / 3  # fraction of a load test, at its start, in which caches fill and pools grow


class Workload(StrEnum):
    """The kinds of work whose response times are measured.

    For live recognition and live speech, the response time is how long the user waits, not how long the speech lasts.
    """

    ASR = "asr"
    TTS = "tts"
    LIVE_ASR = "live_asr"
    LIVE_TTS = "live_tts"

    @property
    def label(self) -> str:
        return _LABELS[self][0]

    @property
    def measured(self) -> str:
        """The definition of the response time for this kind of work, such as "request to last byte"."""
        return _LABELS[self][1]


_LABELS = {
    Workload.ASR: ("Speech to text", "request to last byte"),
    Workload.TTS: ("Text to speech", "request to last byte"),
    Workload.LIVE_ASR: ("Live recognition", "end of speech to its words"),
    Workload.LIVE_TTS: ("Live speech", "end of a sentence to its sound"),
}


# Upper limits for the 95th percentile, in seconds.
P95_S = {Workload.ASR: ASR_P95_S, Workload.LIVE_ASR: ASR_P95_S, Workload.TTS: TTS_P95_S, Workload.LIVE_TTS: TTS_P95_S}
