"""Make the report data of a load test without running it."""

from __future__ import annotations

from typing import Any

from capacity.latency_targets import Workload
from tools.loadtests import report
from tools.loadtests.events import Outcome, Pulse, RequestEvent
from tools.loadtests.leak import Trend
from tools.loadtests.processes import Process, Watch
from tools.loadtests.run import Options, Recordings, Result
from tools.loadtests.scenarios import SCENARIOS
from tools.loadtests.tally import Tally
from tools.loadtests.verdict import Server, judge

STARTED = 1_780_000_000.0
FLAT = Trend(0, -1, 1, -1, 60, 300 * 2**20)


def facts(
    scenario: str = "peak_load",
    users: int = 100,
    *,
    incomplete_because: str = "",
    why: str = "503 over_capacity",
    host: str = "http://127.0.0.1:8000",
    refused_each: int = 50,
) -> dict[str, Any]:
    """Return the report data of a load of one minute, in which one in every ``refused_each`` requests is refused.

    ``why``: the reason for the refusals.
    """
    tally = Tally(STARTED)
    number = 0
    for second in range(60):
        tally.add(Pulse(STARTED + second, users, users // 5, 0.01))
        for work in Workload:
            for _ in range(4):
                number += 1
                outcome, text = (Outcome.REFUSED, why) if number % refused_each == 0 else (Outcome.OK, "")
                at = STARTED + second + 0.5
                waited = 0.2 + second / 100
                spoken = {"voice": "alloy", "degraded": "busy" if second % 4 == 0 else "", "audio_s": 2.5}
                about = spoken if work in (Workload.TTS, Workload.LIVE_TTS) else {}
                tally.add(RequestEvent(at, work, waited, outcome, text, **about))
    watch = Watch("http://nowhere/metrics", 60)
    watch.processes[1.0] = Process(1.0, [(STARTED + second, 300.0 * 2**20) for second in range(60)])
    watch.processes[1.0].worked = [(STARTED + second, 1.25 * second) for second in range(60)]
    watch.readings = [watch.processes[1.0]] * 60
    criteria = judge(SCENARIOS[scenario], users, tally, Server([FLAT], 0, True))
    options = Options(SCENARIOS[scenario], users, 60, 0.1, is_closed_loop=False)
    return report.facts(
        Result(
            options,
            host,
            Recordings("spoken by Kokoro", 60, 6.2),
            tally,
            watch,
            criteria,
            STARTED,
            STARTED + 60,
            STARTED + 6,
            incomplete_because,
        )
    )
