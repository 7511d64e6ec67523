"""A run's report: the facts as JSON, and from these alone a page. What is stored can be shown again at any time."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string

from loadtests.chart import Chart, Curve, chart
from loadtests.leak import WARM_UP_SHARE
from loadtests.processes import Process
from loadtests.run import Result
from loadtests.scenarios import MIX, P95_S, THINK_S, Work

MOST_REASONS = 20
MOST_READINGS = 240
LAG_S = 0.2  # a generator that is later than this measures itself

Facts = dict[str, Any]


def facts(result: Result) -> Facts:
    """All that is told of a run, ready for JSON. ``LoadTestRun`` says what the parts are that others read."""
    options, tally = result.options, result.tally
    reasons = tally.reasons.most_common(MOST_REASONS)
    return {
        "scenario": options.scenario.name,
        "started_at": datetime.fromtimestamp(result.started, tz=UTC).isoformat(timespec="seconds"),
        "host": result.host,
        "users": options.users,
        "most_users": tally.most_users,
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
    }  # fmt: skip


def _mib(process: Process, started: float, ended: float) -> list[list[float]]:
    """Seconds from the start and MiB, at most ``MOST_READINGS`` of them, give or take."""
    readings = [(at - started, bytes_ / 2**20) for at, bytes_ in process.memory if started <= at <= ended]
    return [[round(at, 1), round(mib, 2)] for at, mib in readings[:: max(1, len(readings) // MOST_READINGS)]]


def _cores(process: Process, result: Result) -> float | None:
    cores = process.cores(result.full_from or result.started, result.started + result.options.total_s)
    return None if cores is None else round(cores, 3)


def write(told: Facts, folder: Path) -> Path:
    """`report.json` and `report.html`; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(told), encoding="utf-8")
    return path


def page(told: Facts) -> str:
    """The report as one HTML document without anything from elsewhere."""
    return render_to_string("loadtest/report.html", context(told))


def context(told: Facts) -> dict[str, Any]:
    """For the templates: the facts, with words and charts."""
    return {
        "run": told,
        "title": told["scenario"].replace("_", " ").capitalize(),
        "started": datetime.fromisoformat(told["started_at"]),
        "kinds": [
            {"work": work, **kind, "waits": [kind[name] for name in ("p50_s", "p95_s", "p99_s", "longest_s")]}
            for work in Work
            for kind in [told["kinds"][work.value]]
        ],
        "charts": charts(told),
        "reasons": [{**reason, "work": Work(reason["kind"])} for reason in told["reasons"]],
        "is_generator_late": (told["generator_lag_s"] or 0) > LAG_S,
        "cores": sum(process["cores"] or 0 for process in told["memory"]),
        "warm_up_percent": round(100 * WARM_UP_SHARE),
        "mix": [(Work(kind), share) for kind, share in told["mix"].items()],
    }


def charts(told: Facts) -> list[Chart]:
    line = told["timeline"]

    def curve(name: str, colour: int, key: str) -> Curve:
        return Curve(name, colour, [(step["at_s"], step[key]) for step in line])

    def waits(work: Work) -> Chart:
        curves = [
            Curve(name, colour, [(step["at_s"], step[key][work.value]) for step in line])
            for name, colour, key in (("p95", 1, "p95_s"), ("p50", 2, "p50_s"))
        ]
        limit = P95_S[work]
        return chart(f"{work.label}: {work.measured}", "s", curves, limits=[(limit, f"p95 limit {limit:g} s")])

    drawn = [
        chart("Users at once", "", [curve("there", 1, "users"), curve("waiting or talking", 2, "in_flight")]),
        chart("Answers", "per second", [curve("all", 1, "rps"), Curve("refused or failed", 3, _not_ok(line))]),
        *(waits(work) for work in Work),
    ]
    if told["memory"]:
        names = [f"process {number}" if len(told["memory"]) > 1 else "" for number, _ in enumerate(told["memory"], 1)]
        memory = [
            Curve(name, 1 + index % 4, [(at, mib) for at, mib in process["mib"]])
            for index, (name, process) in enumerate(zip(names, told["memory"], strict=True))
        ]
        drawn.append(chart("Memory of the server", "MiB", memory))
    return drawn


def _not_ok(line: list[dict[str, Any]]) -> list[tuple[float, float | None]]:
    step = line[1]["at_s"] - line[0]["at_s"] if len(line) > 1 else 1
    return [(at["at_s"], at["not_ok"] / step) for at in line]
