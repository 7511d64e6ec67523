"""The report of a run: its data as JSON, and the HTML page that ``capacity.loadtest_report`` makes from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from capacity.loadtest_report import Facts, page
from tools.loadtests.processes import Process
from tools.loadtests.run import Result
from tools.loadtests.scenarios import MIX, THINK_S

MAX_REASONS = 20
MAX_READINGS = 240


def facts(result: Result) -> Facts:
    """Return the data of a run as JSON-compatible values.

    ``LoadTestRun`` documents the parts that other code reads.
    """
    options = result.options
    tally = result.tally
    reasons = tally.reasons.most_common(MAX_REASONS)
    return {
        "scenario": options.scenario.name,
        "started_at": datetime.fromtimestamp(result.started, tz=UTC).isoformat(timespec="seconds"),
        "host": result.host,
        "users": options.users,
        "most_users": tally.peak_users,
        "duration_s": options.duration_s,
        "ran_s": round(result.ended - result.started, 1),
        "full_from_s": None if result.full_from is None else round(result.full_from - result.started, 1),
        "time_scale": options.time_scale,
        "is_closed_loop": options.is_closed_loop,
        "mix": {work.value: share for work, share in MIX.items()},
        "think_s": None if options.is_closed_loop else list(THINK_S),
        "is_complete": result.is_complete,
        "incomplete_because": result.incomplete_because,
        "verdict": result.verdict.value,
        "success_percent": tally.success_percent,
        "criteria": [asdict(criterion) for criterion in result.criteria],
        "kinds": tally.figures(result.ended),
        "voices": tally.voices(),
        "recordings": asdict(result.recordings),
        "timeline": tally.timeline(result.ended),
        "memory": [
            {"mib": _mib(process, result.started, result.ended), "cores": _cores(process, result)}
            for process in result.watch.processes.values()
        ],
        "reasons": [
            {"kind": work.value, "outcome": outcome.value, "why": why, "number": number}
            for (work, outcome, why), number in reasons
        ],
        "generator_lag_s": tally.lag_s(),
    }


def _mib(process: Process, started: float, ended: float) -> list[list[float]]:
    """Return the memory readings between two Unix times, as pairs of seconds since ``started`` and MiB.

    If there are many readings, only about ``MAX_READINGS`` of them are returned.
    """
    readings = [(at - started, bytes_ / 2**20) for at, bytes_ in process.memory if started <= at <= ended]
    return [[round(at, 1), round(mib, 2)] for at, mib in readings[:: max(1, len(readings) // MAX_READINGS)]]


def _cores(process: Process, result: Result) -> float | None:
    cores = process.cores(result.full_from or result.started, result.started + result.options.total_s)
    return None if cores is None else round(cores, 3)


def write(told: Facts, folder: Path) -> Path:
    """Write ``report.json`` and ``report.html`` to a folder; return the path of the HTML page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(told), encoding="utf-8")
    return path
