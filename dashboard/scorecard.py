"""The scorecard: for each metric, the measured value, the target, and whether the target is met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from capacity import figures, loadtests, uptime
from core.quantities import MICROS
from dashboard.cost_quality import MS_PER_HOUR, Money, Quality, UnitCost
from dashboard.date_range import DateRange
from dashboard.filters import Filters
from dashboard.tables import Column, Form, Table, Value, usd
from usage import quality
from usage.money import unit_dollars
from usage.period import end_of_month, month_of
from usage.quality import Estimate
from usage.targets import TARGETS, TARGETS_OF, Metric, MetricTargets, Verdict


@dataclass(frozen=True)
class Score:
    """One line of the scorecard: a measured value and its target.

    ``value``: the measured value in the unit of the target; None if nothing was measured.
    ``shown``: the value as text.
    ``basis``: the data on which the value is based, as text.
    ``is_enough``: whether there are enough observations for a verdict.
    ``low``: lower end of the confidence interval.
    ``high``: upper end of the confidence interval.
    ``count``: number of observations.
    """

    targets: MetricTargets
    value: float | None
    shown: str
    basis: str
    is_enough: bool = True
    low: float | None = None
    high: float | None = None
    count: int | None = None

    @property
    def launch(self) -> Verdict:
        return self.targets.launch.verdict(self.value, is_enough=self.is_enough)

    @property
    def growth(self) -> Verdict | None:
        return self.targets.growth.verdict(self.value, is_enough=self.is_enough) if self.targets.growth else None


WHOLE = {
    Metric.AUDIO_HOUR_COST,
    Metric.THOUSAND_CHARACTERS_COST,
    Metric.PEAK_USERS,
    Metric.CONCURRENT_USERS,
    Metric.UPTIME,
    Metric.MONTH_COST,
}  # these cover the whole service, regardless of the filters


def scorecard(span: DateRange, filters: Filters, costs: Money, good: Quality, active: int) -> list[Score]:
    """Return the lines of the scorecard in the order of ``TARGETS``.

    ``active``: number of end users active in the 30 days up to the last day of the range.
    """
    up = uptime.uptime_of_days(span.first, span.last)
    month = date_format(month_of(span.end - timedelta(days=1)), "F Y")
    is_past = end_of_month(span.last) <= span.now
    spent = costs.month.spent_micros if is_past else costs.month.forecast_micros
    watched = up.percent
    scores = [
        _estimated(Metric.WORD_ERROR_RATE, good.words, _("corrections"), _percent),
        _estimated(Metric.OPINION_SCORE, good.opinion, _("ratings"), _score),
        _unit_score(
            Metric.AUDIO_HOUR_COST,
            costs,
            costs.speech_to_text,
            MS_PER_HOUR,
            _("{spent} for {done} hours recognised in these days; at that cost the target takes {needed} hours"),
        ),
        _unit_score(
            Metric.THOUSAND_CHARACTERS_COST,
            costs,
            costs.text_to_speech,
            1,
            _("{spent} for {done} characters spoken in these days; at that cost the target takes {needed} characters"),
        ),
        _demand(span),
        _proven(),
        Score(
            TARGETS_OF[Metric.UPTIME],
            None if watched is None else watched / 100,
            "–" if watched is None else f"{watched:.2f} %",
            _("{count:,} probes in these days").format(count=up.probes),
            count=up.probes,
        ),
        Score(
            TARGETS_OF[Metric.ACTIVE_USERS],
            active,
            f"{active:,}",
            _("served in the 30 days to {day}").format(day=date_format(span.last, "j F")),
        ),
        Score(
            TARGETS_OF[Metric.MONTH_COST],
            spent / MICROS if costs.is_known else None,
            usd(spent, 2) if costs.is_known else "–",
            month if is_past else _("forecast for {month}").format(month=month),
        ),
    ]
    if filters.is_any:
        whole = _("whole service")
        scores = [
            replace(score, basis=f"{score.basis}; {whole}") if score.targets.metric in WHOLE else score
            for score in scores
        ]
    by_metric = {score.targets.metric: score for score in scores}
    return [by_metric[each.metric] for each in TARGETS]


def _estimated(metric: Metric, found: Estimate, what: str, form: Callable[[float], str]) -> Score:
    shown = "–" if found.value is None else form(found.value)
    basis = f"{found.count:,} {what}"
    if found.low is not None and found.high is not None:
        basis = _("{low} to {high}, {basis}").format(low=form(found.low), high=form(found.high), basis=basis)
    if not found.is_enough:
        basis += _("; {enough} are needed").format(enough=quality.ENOUGH)
    return Score(
        TARGETS_OF[metric],
        found.value,
        shown,
        basis,
        found.is_enough,
        low=found.low,
        high=found.high,
        count=found.count,
    )


def _unit_score(metric: Metric, costs: Money, one: UnitCost, per: int, basis: str) -> Score:
    """Return the score for a cost per unit.

    ``per``: the number by which to divide ``one.done`` for display, such as the number of milliseconds in an hour.
    ``basis``: format string with the fields ``spent``, ``done`` and ``needed``.

    ``needed`` is how much work would bring the unit cost down to the target, at the current total cost. That cost would
    not rise, because machines cost the same at any load.
    """
    targets = TARGETS_OF[metric]
    if one.micros is None or not costs.is_known:
        return Score(targets, None, "–", _("nothing was processed, or no costs have been entered"))
    assert targets.launch.below is not None
    done = one.done / per
    needed = done * one.micros / (targets.launch.below * MICROS)
    words = basis.format(spent=usd(one.spent_micros, 2), done=f"{done:,.0f}", needed=f"{needed:,.0f}")
    return Score(targets, one.micros / MICROS, unit_dollars(one.micros), words)


def _demand(span: DateRange) -> Score:
    """Return the score for the peak of concurrent users in the range. It has no target: a low peak is not a failure."""
    most = figures.peak(span.first, span.last)
    if most is None:
        return Score(TARGETS_OF[Metric.PEAK_USERS], None, "–", _("the capacity watcher did not run in these days"))
    basis = _("in these days, both together; speech to text {asr:,}, text to speech {tts:,}")
    basis = basis.format(asr=most.asr, tts=most.tts)
    return Score(TARGETS_OF[Metric.PEAK_USERS], most.together, f"{most.together:,}", basis)


def _proven() -> Score:
    """Return the score for the number of concurrent users that stored load tests have proven."""
    targets = TARGETS_OF[Metric.CONCURRENT_USERS]
    run = loadtests.proven()
    if run is None:
        return Score(targets, None, "–", _("no load test that passed is stored (manage.py loadtest)"))
    day = date_format(timezone.localdate(run.started_at), "j F Y")
    basis = _("load test {scenario} of {day} passed").format(scenario=run.scenario, day=day)
    if run.time_scale != 1:
        basis += _(", {part:g} of its length").format(part=run.time_scale)
    return Score(targets, run.concurrent_users, f"{run.concurrent_users:,}", basis)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _score(value: float) -> str:
    return f"{value:.2f}"


def scorecard_table(scores: Sequence[Score]) -> Table:
    rows: list[Sequence[Value]] = []
    for one in scores:
        growth = (one.targets.growth.in_words, str(one.growth)) if one.targets.growth else (None, None)
        measured = (one.targets.name, one.value, one.low, one.high, one.count, one.basis)
        rows.append((*measured, one.targets.launch.in_words, str(one.launch), *growth))
    return Table(
        "scorecard",
        "Scorecard",
        [
            Column("metric", "Metric", Form.TEXT),
            *(Column(name, name.capitalize(), Form.SCORE) for name in ("value", "low", "high")),
            Column("count", "Sample size"),
            Column("basis", "Basis", Form.TEXT),
            *(
                Column(name, name.replace("_", " ").capitalize(), Form.TEXT)
                for name in ("launch_target", "launch", "growth_target", "growth")
            ),
        ],
        rows,
    )
