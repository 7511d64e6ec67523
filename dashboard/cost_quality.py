"""Costs, quality and peaks of concurrent users, and the scorecard, which compares them with the targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from capacity import board, loadtests, probe
from dashboard.date_range import DateRange
from dashboard.filters import ALL, FEATURES, Filters
from dashboard.tables import Column, Form, Table, Value, usd
from dashboard.usage_totals import UsageTotals
from usage import cost, quality, weeks
from usage.cost import DayCost, MonthCost
from usage.money import MICROS, unit_dollars
from usage.period import end_of_month, month_of
from usage.quality import Estimate
from usage.scorecard import GOAL, GOALS, Goal, Metric, Target, Verdict

MS_PER_HOUR = 3_600_000


@dataclass(frozen=True)
class UnitCost:
    """The cost per unit of speech to text or of text to speech.

    ``spent_micros``: total cost in millionths of a US dollar.
    ``done``: work done, in milliseconds of audio or in characters.
    ``micros``: cost of one hour of audio or of 1,000 characters; None if no work was done.
    """

    spent_micros: int
    done: int
    micros: int | None


@dataclass(frozen=True)
class Money:
    """The costs in a date range.

    ``micros``: total in millionths of a US dollar.
    ``heard``: cost of speech to text.
    ``spoken``: cost of text to speech.
    ``month``: cost of the month that contains the last day of the range.
    ``is_known``: whether the range has any cost; otherwise no prices have been entered.
    """

    micros: int
    heard: UnitCost
    spoken: UnitCost
    month: MonthCost
    is_known: bool
    by_week: Table


def money(span: DateRange, found: UsageTotals) -> Money:
    """Compute the costs in a date range. ``found`` are the usage totals of the whole service in that range."""
    days = cost.costs_by_day(span.days, span.now)
    heard, spoken = _unit_costs(days, found)
    last = min(span.now, end_of_month(span.last) - timedelta(microseconds=1))
    month = cost.month_cost(last)
    rows: list[Sequence[Value]] = []
    for monday, of_week in _by_week(days):
        hours, characters = _unit_costs(of_week, found)
        rows.append(
            (
                monday,
                sum(day.micros for day in of_week),
                hours.done / MS_PER_HOUR,
                characters.done,
                hours.micros,
                characters.micros,
            )
        )
    table = Table(
        "cost",
        _("Cost by week"),
        [
            Column("week", _("Week from"), Form.DAY),
            Column("cost_usd", _("Cost"), Form.USD, is_drawn=False),
            Column("audio_hours", _("Hours heard"), Form.TENTHS, is_drawn=False),
            Column("characters", _("Characters spoken"), is_drawn=False),
            _unit_column(Metric.AUDIO_HOUR_COST, "usd_per_audio_hour", _("An hour of audio")),
            _unit_column(Metric.THOUSAND_CHARACTERS_COST, "usd_per_1000_characters", _("1,000 characters")),
        ],
        rows,
        chart="line",
        note=_("Infrastructure at its prices, spread over what was done; a first or last week may be part of one."),
        unfinished=span.unfinished_week,
        is_whole=True,
    )
    return Money(sum(day.micros for day in days), heard, spoken, month, any(day.micros for day in days), table)


def _unit_column(metric: Metric, name: str, label: str) -> Column:
    target = GOAL[metric].launch
    return Column(
        name, label, Form.USD_FINE, plot=label, target=target.below, target_label=_("Target %s") % target.in_words
    )


def _unit_costs(days: Sequence[DayCost], found: UsageTotals) -> tuple[UnitCost, UnitCost]:
    """Return the cost per unit of speech to text and of text to speech."""
    done = [found.of_day(day.day) for day in days]
    heard = sum(day.speech_to_text_micros for day in days)
    audio_ms = sum(one.audio_ms for one in done)
    spoken = sum(day.text_to_speech_micros for day in days)
    characters = sum(one.characters for one in done)
    return (
        UnitCost(heard, audio_ms, cost.per_audio_hour(heard, audio_ms)),
        UnitCost(spoken, characters, cost.per_1000_characters(spoken, characters)),
    )


def _by_week(days: Sequence[DayCost]) -> list[tuple[date, list[DayCost]]]:
    found: dict[date, list[DayCost]] = {}
    for day in days:
        found.setdefault(weeks.week_of(day.day), []).append(day)
    return list(found.items())


@dataclass(frozen=True)
class Quality:
    """Measured quality in a date range.

    ``words``: word error rate.
    ``opinion``: mean opinion score.
    """

    words: Estimate
    opinion: Estimate
    by_week: Table


def measured_quality(span: DateRange, filters: Filters = ALL) -> Quality:
    words_in_all, wrong = quality.word_error_rates(span.first, span.last, filters.entries)
    opinion_in_all, liked = quality.opinion_scores(span.first, span.last, filters.entries)
    nothing = Estimate(None, None, None, 0)
    rows = []
    for monday in sorted({weeks.week_of(day) for day in span.days}):
        words = wrong.get(monday, nothing)
        opinion = liked.get(monday, nothing)
        rows.append(
            (
                monday,
                words.value,
                words.low,
                words.high,
                words.count,
                opinion.value,
                opinion.low,
                opinion.high,
                opinion.count,
            )
        )
    table = Table(
        "quality",
        _("Quality by week"),
        [
            Column("week", _("Week from"), Form.DAY),
            *_estimate_columns(
                "word_error_rate", _("Word error rate"), Form.SHARE, GOAL[Metric.WORD_ERROR_RATE].launch
            ),
            Column("corrections", _("Corrections"), is_drawn=False),
            *_estimate_columns(
                "mean_opinion_score", _("Mean opinion score"), Form.SCORE, GOAL[Metric.OPINION_SCORE].launch
            ),
            Column("ratings", _("Ratings"), is_drawn=False),
        ],
        rows,
        chart="line",
        unfinished=span.unfinished_week,
        note=_("The shaded band, from and to, holds the true value with 95 % confidence."),
    )
    return Quality(words_in_all, opinion_in_all, table)


def _estimate_columns(name: str, label: str, form: Form, target: Target) -> list[Column]:
    """Return three columns: an estimate, and the lower and upper ends of its confidence interval."""
    low = f"{name}_low"
    high = f"{name}_high"
    return [
        Column(
            name,
            label,
            form,
            plot=label,
            target=target.below if target.above is None else target.above,
            target_label=_("Target %s") % target.in_words,
            band=(low, high),
        ),
        Column(low, _("from"), form, is_drawn=False),
        Column(high, _("to"), form, is_drawn=False),
    ]


def peaks(span: DateRange) -> Table:
    by_day = dict(board.peaks_by_day(span.first, span.last))
    found = [(day, by_day.get(day)) for day in span.days]
    return Table(
        "peak-users",
        _("Most users at once"),
        [
            Column("day", _("Day"), Form.DAY),
            Column("asr_users", str(FEATURES["asr"])),
            Column("tts_users", str(FEATURES["tts"])),
            Column("users", _("Both together"), is_drawn=False),
        ],
        [(day, *((users.asr, users.tts, users.together) if users else (None, None, None))) for day, users in found],
        chart="line",
        unfinished=span.unfinished,
        empty=_("Nobody watched in these days (manage.py watch_capacity)."),
        is_whole=True,
    )


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

    goal: Goal
    value: float | None
    shown: str
    basis: str
    is_enough: bool = True
    low: float | None = None
    high: float | None = None
    count: int | None = None

    @property
    def launch(self) -> Verdict:
        return self.goal.launch.verdict(self.value, is_enough=self.is_enough)

    @property
    def growth(self) -> Verdict | None:
        return self.goal.growth.verdict(self.value, is_enough=self.is_enough) if self.goal.growth else None


WHOLE = {
    Metric.AUDIO_HOUR_COST,
    Metric.THOUSAND_CHARACTERS_COST,
    Metric.PEAK_USERS,
    Metric.CONCURRENT_USERS,
    Metric.UPTIME,
    Metric.MONTH_COST,
}  # of the whole service, whatever the filters


def scorecard(span: DateRange, filters: Filters, costs: Money, good: Quality, active: int) -> list[Score]:
    """Return the lines of the scorecard in the order of ``GOALS``.

    ``active``: number of end users active in the 30 days up to the last day of the range.
    """
    up = probe.uptime_of_days(span.first, span.last)
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
            costs.heard,
            MS_PER_HOUR,
            _("{spent} for {done} hours heard in these days; at that cost the target takes {needed} hours"),
        ),
        _unit_score(
            Metric.THOUSAND_CHARACTERS_COST,
            costs,
            costs.spoken,
            1,
            _("{spent} for {done} characters spoken in these days; at that cost the target takes {needed} characters"),
        ),
        _demand(span),
        _proven(),
        Score(
            GOAL[Metric.UPTIME],
            None if watched is None else watched / 100,
            "–" if watched is None else f"{watched:.2f} %",
            _("{count:,} probes in these days").format(count=up.probes),
            count=up.probes,
        ),
        Score(
            GOAL[Metric.ACTIVE_USERS],
            active,
            f"{active:,}",
            _("served in the 30 days to {day}").format(day=date_format(span.last, "j F")),
        ),
        Score(
            GOAL[Metric.MONTH_COST],
            spent / MICROS if costs.is_known else None,
            usd(spent, 2) if costs.is_known else "–",
            month if is_past else _("forecast for {month}").format(month=month),
        ),
    ]
    if filters.is_any:
        whole = _("whole service")
        scores = [
            replace(score, basis=f"{score.basis}; {whole}") if score.goal.metric in WHOLE else score for score in scores
        ]
    by_metric = {score.goal.metric: score for score in scores}
    return [by_metric[goal.metric] for goal in GOALS]


def _estimated(metric: Metric, found: Estimate, what: str, form: Callable[[float], str]) -> Score:
    shown = "–" if found.value is None else form(found.value)
    basis = f"{found.count:,} {what}"
    if found.low is not None and found.high is not None:
        basis = _("{low} to {high}, {basis}").format(low=form(found.low), high=form(found.high), basis=basis)
    if not found.is_enough:
        basis += _("; {enough} are needed").format(enough=quality.ENOUGH)
    return Score(
        GOAL[metric], found.value, shown, basis, found.is_enough, low=found.low, high=found.high, count=found.count
    )


def _unit_score(metric: Metric, costs: Money, one: UnitCost, per: int, basis: str) -> Score:
    """Return the score for a cost per unit.

    ``per``: amount of ``one.done`` in one unit of ``basis``.
    ``basis``: format string with the fields ``spent``, ``done`` and ``needed``.

    Machines cost the same whatever their load. So ``needed`` is the amount of work that would meet the target at the
    present total cost.
    """
    goal = GOAL[metric]
    if one.micros is None or not costs.is_known:
        return Score(goal, None, "–", _("nothing was done, or nobody has entered what it costs"))
    assert goal.launch.below is not None
    done = one.done / per
    needed = done * one.micros / (goal.launch.below * MICROS)
    words = basis.format(spent=usd(one.spent_micros, 2), done=f"{done:,.0f}", needed=f"{needed:,.0f}")
    return Score(goal, one.micros / MICROS, unit_dollars(one.micros), words)


def _demand(span: DateRange) -> Score:
    """Return the score for the peak of concurrent users in the range. It has no target: a low peak is no failure."""
    most = board.peak(span.first, span.last)
    if most is None:
        return Score(GOAL[Metric.PEAK_USERS], None, "–", _("nobody watched in these days"))
    basis = _("in these days, both together; speech to text {asr:,}, text to speech {tts:,}")
    basis = basis.format(asr=most.asr, tts=most.tts)
    return Score(GOAL[Metric.PEAK_USERS], most.together, f"{most.together:,}", basis)


def _proven() -> Score:
    """Return the score for the number of concurrent users that stored load tests have proven."""
    goal = GOAL[Metric.CONCURRENT_USERS]
    run = loadtests.proven()
    if run is None:
        return Score(goal, None, "–", _("no load test that passed is stored (manage.py loadtest)"))
    day = date_format(timezone.localdate(run.started_at), "j F Y")
    basis = _("load test {scenario} of {day} passed").format(scenario=run.scenario, day=day)
    if run.time_scale != 1:
        basis += _(", {part:g} of its length").format(part=run.time_scale)
    return Score(goal, run.concurrent_users, f"{run.concurrent_users:,}", basis)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _score(value: float) -> str:
    return f"{value:.2f}"


def scorecard_table(scores: Sequence[Score]) -> Table:
    rows: list[Sequence[Value]] = []
    for one in scores:
        growth = (one.goal.growth.in_words, str(one.growth)) if one.goal.growth else (None, None)
        measured = (one.goal.name, one.value, one.low, one.high, one.count, one.basis)
        rows.append((*measured, one.goal.launch.in_words, str(one.launch), *growth))
    return Table(
        "scorecard",
        "Scorecard",
        [
            Column("metric", "Metric", Form.TEXT),
            *(Column(name, name.capitalize(), Form.SCORE) for name in ("value", "low", "high")),
            Column("count", "Rests on"),
            Column("basis", "Basis", Form.TEXT),
            *(
                Column(name, name.replace("_", " ").capitalize(), Form.TEXT)
                for name in ("launch_target", "launch", "growth_target", "growth")
            ),
        ],
        rows,
    )
