"""Response times, the error rate, and errors by code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import Sum
from django.utils.translation import gettext as _

from capacity.alert_metrics import ASR_KINDS, TTS_KINDS
from core.error_codes import ErrorCode, Fault
from core.percentiles import histogram_percentile
from dashboard.date_range import DateRange
from dashboard.filters import FEATURES, Filters
from dashboard.tables import Column, Form, Table
from dashboard.usage_totals import ENOUGH_REQUESTS, FAILURES, UsageTotals, before_column, share
from usage.rollups import DailyLatency


def errors_by_day(span: DateRange, found: UsageTotals, before: UsageTotals) -> Table:
    rows = []
    for day, earlier in zip(span.days, span.before.days, strict=True):
        codes = found.codes_of(day)
        requests = sum(codes.values())
        failed = sum(number for code, number in codes.items() if code in FAILURES)
        other = requests - codes.get("", 0) - failed
        rows.append((day, found.failure_rate(day), failed, other, requests, before.failure_rate(earlier)))
    return Table(
        "error-rate",
        _("Error rate"),
        [
            Column("day", _("Day"), Form.DAY),
            Column("failure_rate", _("Failed"), Form.SHARE),
            Column("failed", _("Our failures"), is_drawn=False),
            Column("refused", _("Refused, abandoned, invalid"), is_drawn=False),
            Column("requests", _("All requests"), is_drawn=False),
            before_column("failure_rate", Form.SHARE),
        ],
        rows,
        chart="line",
        unfinished=span.unfinished,
        note=_(
            "Our own failures as a share of all requests, without refused and abandoned ones. "
            "No point with fewer than %d requests."
        )
        % ENOUGH_REQUESTS,
    )


def errors_by_code(found: UsageTotals) -> Table:
    requests = sum(one.requests for one in found.by_code.values())
    rows = [
        (code, _whose(code), one.requests, share(one.requests, requests))
        for code, one in found.by_code.items()
        if code and one.requests
    ]
    rows.sort(key=lambda row: (-row[2], row[0]))
    return Table(
        "errors",
        _("Errors by code"),
        [
            Column("code", _("Code"), Form.TEXT),
            Column("kind", _("What it is"), Form.TEXT),
            Column("requests", _("Requests")),
            Column("share", _("Of all requests"), Form.SHARE, bar=True),
        ],
        rows,
        empty=_("No errors in these days."),
    )


def _whose(code: str) -> str:
    try:
        return _(ErrorCode(code).fault.value)
    except ValueError:  # an older version wrote this row
        return _(Fault.CALLER.value)


Histogram = dict[int, int]  # number of requests by the upper bound of the bucket in ms


@dataclass(frozen=True)
class Speed:
    """The response times in a date range.

    ``asr_p95``, ``tts_p95``: 95th percentiles over the whole range in seconds; None without requests.
    """

    asr_p95: float | None
    tts_p95: float | None
    by_day: Table


HistogramsByService = dict[str, dict[date, Histogram]]
RANKS = (50, 95)


def speed(span: DateRange, filters: Filters) -> Speed:
    """Return the response times of requests with a file or a text. Live streams have no response time."""
    histograms = _histograms(span, filters)
    earlier = _histograms(span.before, filters)
    plots = {"asr": FEATURES["asr"], "tts": FEATURES["tts"]}
    columns = [Column("day", _("Day"), Form.DAY)]
    for service, plot in plots.items():
        columns += [Column(f"{service}_p{rank}_s", f"p{rank}", Form.SECONDS, plot=str(plot)) for rank in RANKS]
        columns.append(before_column(f"{service}_p95_s", Form.SECONDS, plot=str(plot), label=_("p95 before")))
    rows = []
    for day, day_before in zip(span.days, span.before.days, strict=True):
        values: list[float | None] = []
        for service in plots:
            values += [_seconds_below(histograms[service].get(day, {}), rank) for rank in RANKS]
            values.append(_seconds_below(earlier[service].get(day_before, {}), 95))
        rows.append((day, *values))
    table = Table(
        "response-times",
        _("Response times"),
        columns,
        rows,
        chart="line",
        unfinished=span.unfinished,
        note=_("Read from a histogram: at most a fifth too high."),
    )
    asr, tts = (_seconds_below(_together(histograms[service].values()), 95) for service in plots)
    return Speed(asr, tts, table)


def _histograms(span: DateRange, filters: Filters) -> HistogramsByService:
    histograms: HistogramsByService = {"asr": defaultdict(dict), "tts": defaultdict(dict)}
    rows = DailyLatency.objects.filter(filters.rows, day__range=(span.first, span.last)).order_by()
    sums = rows.values_list("day", "kind", "ceiling_ms").annotate(Sum("requests"))
    for day, kind, ceiling, number in sums:
        service = "asr" if kind in ASR_KINDS else "tts" if kind in TTS_KINDS else None
        if service is not None:
            of_day = histograms[service][day]
            of_day[ceiling] = of_day.get(ceiling, 0) + number
    return histograms


def _together(histograms: Iterable[Histogram]) -> Histogram:
    sums: Histogram = defaultdict(int)
    for histogram in histograms:
        for ceiling, number in histogram.items():
            sums[ceiling] += number
    return sums


def _seconds_below(histogram: Histogram, percent: float) -> float | None:
    """Return a percentile of the response times in seconds, or None without requests.

    The result is the upper bound of the histogram's bucket that contains the percentile.
    """
    ceiling_ms = histogram_percentile(histogram, percent)
    return None if ceiling_ms is None else ceiling_ms / 1000
