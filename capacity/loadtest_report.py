"""Render the report of a load test from its stored results."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.template.loader import render_to_string

from capacity.latency_targets import P95_S, WARM_UP_SHARE, Workload
from capacity.loadtest_chart import Chart, Curve, chart

LAG_S = 0.2  # if the load generator lags by more than this, its delay distorts the response times

Facts = dict[str, Any]


def page(report: Facts) -> str:
    """Return the report of a load test as one self-contained HTML document.

    ``report``: the stored results (``LoadTestRun.report``).
    """
    return render_to_string("loadtest/report.html", context(report))


def context(report: Facts) -> dict[str, Any]:
    """Return the context for the report's templates: the stored results, with labels and charts."""
    return {
        "run": report,
        "title": report["scenario"].replace("_", " ").capitalize(),
        "started": datetime.fromisoformat(report["started_at"]),
        "kinds": [
            {"work": work, **kind, "waits": [kind[name] for name in ("p50_s", "p95_s", "p99_s", "longest_s")]}
            for work in Workload
            for kind in [report["kinds"][work.value]]
        ],
        "charts": charts(report),
        "reasons": [{**reason, "work": Workload(reason["kind"])} for reason in report["reasons"]],
        "is_generator_late": (report["generator_lag_s"] or 0) > LAG_S,
        "cores": sum(process["cores"] or 0 for process in report["memory"]),
        "warm_up_percent": round(100 * WARM_UP_SHARE),
        "mix": [(Workload(kind), share) for kind, share in report["mix"].items()],
    }


def charts(report: Facts) -> list[Chart]:
    """Return the report's charts: users, responses, response times by kind of work, and memory."""
    line = report["timeline"]

    def curve(name: str, colour: int, key: str) -> Curve:
        return Curve(name, colour, [(step["at_s"], step[key]) for step in line])

    def waits(work: Workload) -> Chart:
        curves = [
            Curve(name, colour, [(step["at_s"], step[key][work.value]) for step in line])
            for name, colour, key in (("p95", 1, "p95_s"), ("p50", 2, "p50_s"))
        ]
        limit = P95_S[work]
        return chart(f"{work.label}: {work.measured}", "s", curves, limits=[(limit, f"p95 limit {limit:g} s")])

    drawn = [
        chart("Concurrent users", "", [curve("users", 1, "users"), curve("requests in progress", 2, "in_flight")]),
        chart("Responses", "per second", [curve("all", 1, "rps"), Curve("refused or failed", 3, _not_ok(line))]),
        *(waits(work) for work in Workload),
    ]
    if report["memory"]:
        processes = report["memory"]
        names = [f"process {number}" if len(processes) > 1 else "" for number, _ in enumerate(processes, 1)]
        memory = [
            Curve(name, 1 + index % 4, [(at, mib) for at, mib in process["mib"]])
            for index, (name, process) in enumerate(zip(names, processes, strict=True))
        ]
        drawn.append(chart("Memory of the server", "MiB", memory))
    return drawn


def _not_ok(line: list[dict[str, Any]]) -> list[tuple[float, float | None]]:
    step = line[1]["at_s"] - line[0]["at_s"] if len(line) > 1 else 1
    return [(at["at_s"], at["not_ok"] / step) for at in line]
