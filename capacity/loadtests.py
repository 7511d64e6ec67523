"""Store load-test runs, and find the runs that prove how many concurrent users the service can serve.

A run proves a growth phase if it passed with at least as many concurrent users as the phase's upper limit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from capacity.models import LoadTestRun, Phase


def keep(facts: dict[str, Any]) -> LoadTestRun:
    """Store a load test. ``facts`` are its results, as returned by ``tools.loadtests.report.facts``."""
    return LoadTestRun.objects.create(
        scenario=facts["scenario"],
        started_at=datetime.fromisoformat(facts["started_at"]),
        duration_s=facts["duration_s"],
        time_scale=facts["time_scale"],
        concurrent_users=facts["most_users"],
        is_closed_loop=facts["is_closed_loop"],
        host=facts["host"],
        passed=facts["verdict"] == "passed",
        is_complete=facts["is_complete"],
        report=facts,
    )


def proven() -> LoadTestRun | None:
    """Return the run with the most concurrent users among those that passed, or None. Only complete runs pass."""
    return LoadTestRun.objects.filter(passed=True).order_by("-concurrent_users", "-started_at").first()


def latest_for(phase: Phase) -> LoadTestRun | None:
    """Return the latest run that passed with at least as many concurrent users as the phase's upper limit.

    Return None if there is no such run, or if the phase has no upper limit.
    """
    if phase.concurrent_to is None:
        return None
    return LoadTestRun.objects.filter(passed=True, concurrent_users__gte=phase.concurrent_to).first()
