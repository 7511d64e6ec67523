"""Judge a run: a verdict on each criterion, and an overall verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from capacity.latency_targets import P95_S, Workload
from tools.loadtests.events import Outcome
from tools.loadtests.leak import TOLERATED_SHARE, Trend
from tools.loadtests.scenarios import Scenario
from tools.loadtests.tally import Tally

MIN_ANSWERS = 20  # with fewer answers, the 95th percentile is their maximum, and the output says how many there were


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Criterion:
    """A criterion with its verdict. ``limit`` and ``measured`` are texts for people to read."""

    name: str
    limit: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Server:
    """The state of the server's processes during and after the run.

    ``trends``: the memory trend of each process; None if memory could not be read.
    ``replaced``: how many processes died during the run; None if unknown.
    ``is_ready``: whether the server was ready at the end of the run.
    ``why``: why memory or processes could not be read.
    """

    trends: Sequence[Trend] | None
    replaced: int | None
    is_ready: bool
    why: str = ""


def judge(scenario: Scenario, users: int, tally: Tally, server: Server) -> list[Criterion]:
    """Return the verdict on each criterion of a scenario.

    ``users``: the required number of concurrent users.
    """
    return [
        _users(users, tally),
        _success(scenario, tally),
        *(_p95(work, tally) for work in Workload),
        _hung(tally),
        _crash(server),
        _leak(server),
    ]


def overall(criteria: Sequence[Criterion], *, is_complete: bool = True) -> Verdict:
    """Return the overall verdict. A run passes only if every criterion was measured and passed.

    ``is_complete``: whether the run reached its end. If not, the verdict is ``NOT_MEASURED``.
    """
    verdicts = {criterion.verdict for criterion in criteria}
    if not is_complete:
        return Verdict.NOT_MEASURED
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    return Verdict.NOT_MEASURED if Verdict.NOT_MEASURED in verdicts else Verdict.PASSED


def _of(is_met: bool) -> Verdict:
    return Verdict.PASSED if is_met else Verdict.FAILED


def _users(users: int, tally: Tally) -> Criterion:
    return Criterion("Concurrent users", f"{users}", f"{tally.peak_users}", _of(tally.peak_users >= users))


def _success(scenario: Scenario, tally: Tally) -> Criterion:
    percent = tally.success_percent
    limit = f"> {scenario.success_percent:g} %"
    if percent is None:
        return Criterion("Success rate", limit, "nothing was answered", Verdict.FAILED)
    refused = tally.count(Outcome.REFUSED)
    failed = tally.count(Outcome.FAILED, Outcome.HUNG)
    measured = f"{percent:.2f} % of {tally.count():,}; {refused:,} refused, {failed:,} failed"
    return Criterion("Success rate", limit, measured, _of(percent > scenario.success_percent))


def _p95(work: Workload, tally: Tally) -> Criterion:
    name = f"p95, {work.label.lower()}"
    limit = P95_S[work]
    seconds = tally.p95_s(work)
    if seconds is None:
        return Criterion(name, f"< {limit:g} s", "no answers", Verdict.NOT_MEASURED)
    number = len(tally.kinds[work].seconds)
    few = f" (only {number} answers)" if number < MIN_ANSWERS else ""
    return Criterion(name, f"< {limit:g} s", f"{seconds:.2f} s{few}", _of(seconds < limit))


def _hung(tally: Tally) -> Criterion:
    hung = tally.count(Outcome.HUNG)
    return Criterion("No request hangs", "0", f"{hung}", _of(hung == 0))


def _crash(server: Server) -> Criterion:
    name = "No crash"
    limit = "no process dies; ready at the end"
    if not server.is_ready:
        return Criterion(name, limit, "not ready at the end", Verdict.FAILED)
    if server.replaced is None:
        return Criterion(name, limit, f"ready at the end; {server.why}", Verdict.NOT_MEASURED)
    if server.replaced:
        return Criterion(name, limit, f"{server.replaced} processes were replaced", Verdict.FAILED)
    return Criterion(name, limit, "no process died; ready at the end", Verdict.PASSED)


def _leak(server: Server) -> Criterion:
    name = "No memory leak"
    limit = f"at most {100 * TOLERATED_SHARE:g} % growth, noise allowed for"
    if server.trends is None:
        return Criterion(name, limit, server.why, Verdict.NOT_MEASURED)
    if not server.trends:
        return Criterion(name, limit, "too short to tell", Verdict.NOT_MEASURED)
    worst = max(server.trends, key=lambda trend: trend.low * trend.span_s / trend.level)
    return Criterion(name, limit, worst.in_words(), _of(not worst.is_leak))
