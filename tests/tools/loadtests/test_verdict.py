"""The verdicts on made-up load tests."""

from __future__ import annotations

import pytest

from capacity.latency_targets import Workload
from tools.loadtests.events import Outcome, Pulse, RequestEvent, line, read
from tools.loadtests.leak import Trend
from tools.loadtests.scenarios import SCENARIOS
from tools.loadtests.tally import Tally
from tools.loadtests.verdict import Server, Verdict, judge, overall

FLAT = Trend(0, -1, 1, -1, 60, 300 * 2**20)
LEAKY = Trend(2**20, 2**20, 2**20, 2**20, 60, 300 * 2**20)
WELL = Server(trends=[FLAT], replaced=0, is_ready=True)


def tally(ok: int = 100, refused: int = 0, failed: int = 0, hung: int = 0, users: int = 100, seconds=None) -> Tally:
    """Return the tally of a made-up run, with the same numbers of requests for each kind of work.

    ``seconds``: the latency by kind of work, where it is not 0.1 s.
    """
    told = Tally(0.0)
    told.add(Pulse(1.0, users, 0, 0.0))
    for work in Workload:
        for outcome, number in (
            (Outcome.OK, ok),
            (Outcome.REFUSED, refused),
            (Outcome.FAILED, failed),
            (Outcome.HUNG, hung),
        ):
            for _ in range(number):
                told.add(
                    RequestEvent(2.0, work, (seconds or {}).get(work, 0.1), outcome, "" if outcome == "ok" else "503")
                )
    return told


def verdicts(told: Tally, server: Server = WELL, scenario: str = "peak_load") -> dict[str, Verdict]:
    return {criterion.name: criterion.verdict for criterion in judge(SCENARIOS[scenario], 100, told, server)}


def test_it_works() -> None:
    criteria = judge(SCENARIOS["peak_load"], 100, tally(), WELL)
    assert {criterion.verdict for criterion in criteria} == {Verdict.PASSED}
    assert overall(criteria) is Verdict.PASSED


@pytest.mark.parametrize(
    ("scenario", "ok", "refused", "failed", "verdict"),
    [
        ("baseline", 100, 0, 0, "passed"),
        ("baseline", 99, 1, 0, "failed"),
        ("normal_load", 995, 0, 5, "passed"),
        ("peak_load", 96, 4, 0, "passed"),
        ("peak_load", 95, 5, 0, "failed"),
        ("peak_load", 95, 0, 5, "failed"),
        ("stress_test", 81, 19, 0, "passed"),
        ("stress_test", 80, 20, 0, "failed"),
    ],
)
def test_the_success_rate(scenario: str, ok: int, refused: int, failed: int, verdict: str) -> None:
    assert verdicts(tally(ok, refused, failed), scenario=scenario)["Success rate"] == verdict


@pytest.mark.parametrize(
    ("work", "seconds", "verdict"),
    [
        (Workload.ASR, 1.99, "passed"),
        (Workload.ASR, 2.0, "failed"),
        (Workload.LIVE_ASR, 2.5, "failed"),
        (Workload.TTS, 2.99, "passed"),
        (Workload.TTS, 3.0, "failed"),
        (Workload.LIVE_TTS, 3.1, "failed"),
    ],
)
def test_response_times(work: Workload, seconds: float, verdict: str) -> None:
    found = verdicts(tally(seconds={work: seconds}))
    assert found.pop(f"p95, {work.label.lower()}") == verdict
    assert set(found.values()) == {Verdict.PASSED}


def test_refusals_have_no_response_time() -> None:
    told = tally()
    for _ in range(50):
        told.add(RequestEvent(2.0, Workload.ASR, 30.0, Outcome.REFUSED, "503"))
    assert told.p95_s(Workload.ASR) == 0.1


def test_a_hanging_request_fails() -> None:
    assert verdicts(tally(ok=1000, hung=1))["No request hangs"] == "failed"


def test_missing_users_fail() -> None:
    assert verdicts(tally(users=99))["Concurrent users"] == "failed"


@pytest.mark.parametrize(
    ("server", "crash", "leak"),
    [
        (Server([LEAKY, FLAT], 0, True), "passed", "failed"),
        (Server([FLAT], 1, True), "failed", "passed"),
        (Server([FLAT], 0, False), "failed", "passed"),
        (Server([], 0, True), "passed", "not measured"),
        (Server(None, None, True, "404"), "not measured", "not measured"),
    ],
)
def test_the_servers_memory_and_processes_are_judged(server: Server, crash: str, leak: str) -> None:
    found = verdicts(tally(), server)
    assert (found["No crash"], found["No memory leak"]) == (crash, leak)


def test_no_responses() -> None:
    criteria = judge(SCENARIOS["baseline"], 10, Tally(0.0), WELL)
    assert overall(criteria) is Verdict.FAILED
    assert {criterion.verdict for criterion in criteria if criterion.name.startswith("p95")} == {Verdict.NOT_MEASURED}


def test_unmeasured_criteria_do_not_pass() -> None:
    criteria = judge(SCENARIOS["peak_load"], 100, tally(), Server(None, None, True, "404"))
    assert overall(criteria) is Verdict.NOT_MEASURED
    assert overall(judge(SCENARIOS["peak_load"], 100, tally(hung=9), WELL)) is Verdict.FAILED


def test_an_interrupted_run_has_no_verdict() -> None:
    assert overall(judge(SCENARIOS["peak_load"], 100, tally(), WELL), is_complete=False) is Verdict.NOT_MEASURED


def test_over_time() -> None:
    told = Tally(0.0)
    for second in range(600):
        told.add(Pulse(100.0 + second, min(second, 50), 3, 0.0))
        told.add(RequestEvent(100.5 + second, Workload.ASR, 0.5, Outcome.OK if second < 300 else Outcome.REFUSED))
    points = told.timeline(700.0)
    assert len(points) == 120
    assert [point["at_s"] for point in points[:3]] == [0, 5, 10]
    assert [point["users"] for point in points[:3]] == [4, 9, 14]
    assert points[1]["p95_s"] == {"asr": 0.5, "tts": None, "live_asr": None, "live_tts": None}
    assert points[-1]["p95_s"]["asr"] is None
    assert points[-1]["not_ok"] == 5


@pytest.mark.parametrize(
    "event", [Pulse(1.0, 2, 3, 0.5), RequestEvent(1.0, Workload.TTS, 0.25, Outcome.HUNG, "nothing")]
)
def test_events_survive_the_pipe(event: RequestEvent | Pulse) -> None:
    assert read(line(event)) == event
