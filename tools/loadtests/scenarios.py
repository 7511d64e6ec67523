"""The four load-test scenarios, their required success rates, and assumptions on how simulated users behave."""

from __future__ import annotations

from dataclasses import dataclass

from capacity.latency_targets import Workload


@dataclass(frozen=True)
class Scenario:
    """A load: a number of concurrent users for a number of minutes.

    ``success_percent``: the percentage of successful requests must be higher than this.
    """

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

# --- How users behave: assumptions, not requirements ------------------------------------------------------------------
MIX = {Workload.ASR: 40, Workload.TTS: 35, Workload.LIVE_ASR: 15, Workload.LIVE_TTS: 10}  # percentages of all requests
THINK_S = (2.0, 6.0)  # shortest and longest pause of a user between two requests
RAMP_SHARE = 0.1  # users arrive one by one in this share of the duration, before the duration begins
SHORTEST_RAMP_S = 1.0
LONGEST_RAMP_S = 30.0


def ramp_s(duration_s: float) -> float:
    """Return the length in seconds of the ramp in which the users arrive, before a run of ``duration_s``."""
    return min(LONGEST_RAMP_S, max(SHORTEST_RAMP_S, RAMP_SHARE * duration_s))
