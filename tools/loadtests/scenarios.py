"""The four scenarios, what they have to reach, and how people use voice in them."""

from __future__ import annotations

from dataclasses import dataclass

from capacity.goals import Workload


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

# --- How people use voice: assumptions of ours, not requirements ----------------------------------------------------
MIX = {Workload.ASR: 40, Workload.TTS: 35, Workload.LIVE_ASR: 15, Workload.LIVE_TTS: 10}  # of 100 things that people do
THINK_S = (2.0, 6.0)  # between two of them: to read, to listen, to find words
RAMP_SHARE = 0.1  # people come one after the other, before the time counts
SHORTEST_RAMP_S = 1.0
LONGEST_RAMP_S = 30.0


def ramp_s(duration_s: float) -> float:
    """In how many seconds all users come."""
    return min(LONGEST_RAMP_S, max(SHORTEST_RAMP_S, RAMP_SHARE * duration_s))
