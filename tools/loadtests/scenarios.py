"""The four scenarios, what they have to reach, and how people use voice in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from capacity.goals import ASR_P95_S, TTS_P95_S


class Work(StrEnum):
    """The kinds of work. What is measured of a live one is what a person waits for, not how long the person talks."""

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
    Work.ASR: ("Speech to text", "request to last byte"),
    Work.TTS: ("Text to speech", "request to last byte"),
    Work.LIVE_ASR: ("Live recognition", "end of speech to its words"),
    Work.LIVE_TTS: ("Live speech", "end of a sentence to its sound"),
}


@dataclass(frozen=True)
class Scenario:
    """``users`` at once for ``minutes``; more than ``success_percent`` of what they ask has to succeed."""

    name: str
    users: int
    minutes: float
    success_percent: float


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("baseline", 10, 5, 99),
        Scenario("normal_load", 50, 15, 99),
        Scenario("peak_load", 100, 10, 95),
        Scenario("stress_test", 200, 5, 80),
    )
}

# p95 has to be below, in seconds.
P95_S = {Work.ASR: ASR_P95_S, Work.LIVE_ASR: ASR_P95_S, Work.TTS: TTS_P95_S, Work.LIVE_TTS: TTS_P95_S}

# --- How people use voice: assumptions of ours, not requirements ----------------------------------------------------
MIX = {Work.ASR: 40, Work.TTS: 35, Work.LIVE_ASR: 15, Work.LIVE_TTS: 10}  # of 100 things that people do
THINK_S = (2.0, 6.0)  # between two of them: to read, to listen, to find words
RAMP_SHARE, SHORTEST_RAMP_S, LONGEST_RAMP_S = 0.1, 1.0, 30.0  # people come one after the other, before the time counts


def ramp_s(duration_s: float) -> float:
    """In how many seconds all users come."""
    return min(LONGEST_RAMP_S, max(SHORTEST_RAMP_S, RAMP_SHARE * duration_s))
