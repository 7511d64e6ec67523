"""Collect the data of the admin's first page.

The page requests the data of ``live`` every few seconds and those of ``slow`` once a minute. Both return values for the
templates in templates/admin/home/. ``dashboard.homepage`` checks the viewer's permissions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.utils import timezone

from capacity import alerts, figures, hardware, notifications, phase_outlook, uptime
from capacity.figures import CURVE_STEP, CurvePoint, Levels, Users
from capacity.models import Metric, Rule, Sample
from usage import cost_figures
from usage.cost import month_cost
from usage.period import start_of

NO_BREAK = "\u00a0"
CHART_HEADROOM = 1.1  # height of the chart, as a multiple of the highest level or value


class Tone(StrEnum):
    """How a value compares with the thresholds of the alert rules."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Limits:
    """The lowest thresholds of the enabled alert rules for one metric. None if there is no such rule."""

    warning: float | None = None
    critical: float | None = None

    def tone(self, value: float | None) -> Tone:
        if value is None:
            return Tone.UNKNOWN
        if self.critical is not None and value > self.critical:
            return Tone.CRITICAL
        return Tone.WARNING if self.warning is not None and value > self.warning else Tone.OK


@dataclass(frozen=True)
class Reading:
    """A measured value, formatted for the page.

    ``name``: the label.
    ``value``: the value with its unit; "–" without a value.
    ``note``: the thresholds, or the reason why there is no value.
    """

    name: str
    value: str
    tone: Tone
    note: str


@dataclass(frozen=True)
class Gauge:
    """The number of concurrent users on a scale with the alert levels.

    ``users``: None if unknown.
    ``percent``: position of the number of users, in per cent of the scale.
    ``marks``: pairs of the position in per cent and the label of each level.
    """

    users: Users | None
    tone: Tone
    percent: float
    marks: tuple[tuple[float, str], ...]


def limits() -> dict[str, Limits]:
    """Return the lowest thresholds of the enabled alert rules, by metric."""
    lowest: dict[str, dict[str, float]] = {}
    for rule in Rule.objects.filter(is_enabled=True):
        of_metric = lowest.setdefault(rule.metric, {})
        of_metric[rule.severity] = min(rule.level, of_metric.get(rule.severity, rule.level))
    return {
        metric: Limits(found.get(Rule.Severity.WARNING), found.get(Rule.Severity.CRITICAL))
        for metric, found in lowest.items()
    }


def live(now: datetime) -> dict[str, Any]:
    """Return the data that change within seconds: the newest sample, concurrent users and firing alerts.

    ``sample`` is None if the watcher is not running.
    """
    sample = figures.latest(now)
    known = limits()
    return {
        "sample": sample,
        "last_sample": sample or Sample.objects.first(),
        "alerts": alerts.firing(),
        "has_receivers": bool(notifications.receivers()),
        "gauge": gauge(figures.now_served(), figures.levels(), known.get(Metric.USERS, Limits())),
        "readings": readings(sample, known),
    }


def slow(now: datetime) -> dict[str, Any]:
    """Return the data that change slowly: the month's cost, the uptime, the growth phase and the running hardware."""
    today = timezone.localdate(now)
    cost = month_cost(now)
    outlook = phase_outlook.outlook(now)
    runs = hardware.running(now)
    return {
        "figures": cost_figures.figures(cost),
        "is_cost_known": cost.forecast_micros > 0,
        "spent_percent": 100 * cost.spent_micros / cost.forecast_micros if cost.forecast_micros else 0.0,
        "month": today,
        "uptime": uptime.uptime(today),
        "outlook": outlook,
        "hardware": runs,
        "hardware_stands": runs.against(outlook.phase) if outlook else "",
        "cost_alert": _cost_alert(),
        "spans": {what: outlook.phase.span(what) for what in ("users", "concurrent")} if outlook else {},
    }


def _cost_alert() -> str:
    """Return the threshold of the cost alert as text. It is not the target cost, which the page shows beside it."""
    levels = limits().get(Metric.COST, Limits())
    level = levels.warning if levels.warning is not None else levels.critical
    return "no alert is set" if level is None else f"an alert fires above USD {level:,.0f}, the review level"


def gauge(users: Users | None, levels: Levels, known: Limits) -> Gauge:
    end = scale_end(levels, [users.together] if users else [])
    known_levels = (level for level in (levels.warning, levels.critical, levels.design) if level is not None)
    marks = tuple((100 * level / end, f"{level:,.0f}") for level in known_levels)
    together = users.together if users else None
    return Gauge(users, known.tone(together), 100 * (together or 0) / end, marks)


def scale_end(levels: Levels, values: list[int]) -> float:
    highest = max([*(level for level in (levels.warning, levels.critical, levels.design) if level), *values], default=0)
    return CHART_HEADROOM * (highest or 10)


def readings(sample: Sample | None, known: dict[str, Limits]) -> list[Reading]:
    """Return the readings for the page: p95 of ASR and of TTS, error rate and GPU utilisation.

    ``sample``: None without a recent sample; then the readings have no values.
    ``known``: result of ``limits``.
    """
    p95 = known.get(Metric.P95, Limits())
    asr, tts, errors, gpu = (
        (sample.asr_p95_s, sample.tts_p95_s, sample.error_percent, sample.gpu_percent) if sample else (None,) * 4
    )
    requests = f"of {sample.requests:,} request{'s' * (sample.requests != 1)}" if sample else ""
    no_answer, no_request, no_gpu = (
        ("no request finished", "no request", "no GPU is read") if sample else ("no recent measurement",) * 3
    )
    memory = sample.gpu_memory_percent if sample else None
    of_memory = "" if memory is None else f"{memory:.0f} % of its memory"
    return [
        _reading("Speech to text, p95", asr, "{:.2f} s", p95, no_answer),
        _reading("Text to speech, p95", tts, "{:.2f} s", p95, no_answer),
        _reading("Error rate", errors, "{:.1f} %", known.get(Metric.ERRORS, Limits()), no_request, requests),
        _reading("GPU", gpu, "{:.0f} %", known.get(Metric.GPU, Limits()), no_gpu, of_memory),
    ]


def _reading(name: str, value: float | None, form: str, known: Limits, why_none: str, more: str = "") -> Reading:
    """Return a reading whose note names the thresholds and whose tone compares the value with them.

    ``form``: format string for the value, with the unit at its end.
    ``why_none``: note to show if there is no value.
    ``more``: text to put before the thresholds in the note.
    """
    if value is None:
        return Reading(name, "–", Tone.UNKNOWN, why_none)
    unit = form.partition("}")[2]
    levels = [
        f"{word} > {level:g}{unit}".replace(" ", NO_BREAK)
        for word, level in (("warning", known.warning), ("critical", known.critical))
        if level is not None
    ]
    return Reading(name, form.format(value), known.tone(value), ", ".join([more, *levels] if more else levels))


def curve(now: datetime, first_step: int = 0) -> dict[str, Any]:
    """Return the peak of concurrent users in each ``CURVE_STEP`` of today, up to now.

    ``first_step``: index of the step to begin with; 0 is midnight.
    """
    today = timezone.localdate(now)
    last = step_of(now)
    first = min(first_step, last)
    return {"day": today.isoformat(), "first": first, **_columns(figures.day_curve(today, first)[: last + 1 - first])}


def chart(now: datetime) -> dict[str, Any]:
    """Return the data for the chart of concurrent users: today, yesterday and the levels.

    The levels are those of the alerts, and the number of users that the service is designed for.
    """
    today = timezone.localdate(now)
    levels = figures.levels()
    before = figures.day_curve(today - timedelta(days=1))
    return {
        "today": curve(now),
        "yesterday": [point.users.together if point.users else None for point in before],
        "midnight": int(start_of(today).timestamp()),
        "step_s": int(CURVE_STEP.total_seconds()),
        "levels": {"warning": levels.warning, "critical": levels.critical, "design": levels.design},
        "zone": timezone.get_current_timezone_name(),
    }


def step_of(now: datetime) -> int:
    return (now - start_of(timezone.localdate(now))) // CURVE_STEP


def _columns(points: list[CurvePoint]) -> dict[str, list[int | None]]:
    return {
        name: [getattr(point.users, name) if point.users else None for point in points]
        for name in ("together", "asr", "tts")
    }


def static_curve(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the chart as SVG lines, for browsers without JavaScript.

    ``drawn``: result of ``chart``.

    The SVG is 288 units wide (one per step of the day) and 100 high.
    """
    levels = Levels(**drawn["levels"])
    known = [value for value in (*drawn["today"]["together"], *drawn["yesterday"]) if value is not None]
    end = scale_end(levels, known)
    named = [("warning", levels.warning), ("critical", levels.critical), ("design", levels.design)]
    return {
        "today": _lines(drawn["today"]["together"], end),
        "yesterday": _lines(drawn["yesterday"], end),
        "levels": [(name, f"{level:,.0f}", 100 - 100 * level / end) for name, level in named if level is not None],
    }


def _lines(values: list[int | None], end: float) -> list[str]:
    """Return the points of the SVG polylines for a curve: one polyline for each run of values other than None."""
    lines: list[list[str]] = [[]]
    for step, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{step},{100 - 100 * value / end:.1f}")
    return [" ".join(line) for line in lines if line]
