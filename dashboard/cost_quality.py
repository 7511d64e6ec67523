"""Costs, measured quality, and peaks of concurrent users. ``dashboard.scorecard`` compares them with the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _

from capacity import figures
from dashboard.date_range import DateRange
from dashboard.filters import ALL, FEATURES, Filters
from dashboard.tables import Column, Form, Table, Value
from dashboard.usage_totals import UsageTotals
from usage import activity, cost, quality
from usage.cost import DayCost, MonthCost
from usage.period import end_of_month
from usage.quality import Estimate
from usage.targets import TARGETS_OF, Metric, Target

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
    ``speech_to_text``: cost of speech to text.
    ``text_to_speech``: cost of text to speech.
    ``month``: cost of the month that contains the last day of the range.
    ``is_known``: whether the range has any cost; otherwise no prices have been entered.
    """

    micros: int
    speech_to_text: UnitCost
    text_to_speech: UnitCost
    month: MonthCost
    is_known: bool
    by_week: Table


def money(span: DateRange, found: UsageTotals) -> Money:
    """Compute the costs in a date range. ``found`` are the usage totals of the whole service in that range."""
    days = cost.costs_by_day(span.days, span.now)
    speech_to_text, text_to_speech = _unit_costs(days, found)
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
            Column("audio_hours", _("Hours recognised"), Form.TENTHS, is_drawn=False),
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
    total = sum(day.micros for day in days)
    is_known = any(day.micros for day in days)
    return Money(total, speech_to_text, text_to_speech, month, is_known, table)


def _unit_column(metric: Metric, name: str, label: str) -> Column:
    target = TARGETS_OF[metric].launch
    return Column(
        name, label, Form.USD_FINE, plot=label, target=target.below, target_label=_("Target %s") % target.in_words
    )


def _unit_costs(days: Sequence[DayCost], found: UsageTotals) -> tuple[UnitCost, UnitCost]:
    """Return the cost per unit of speech to text and of text to speech."""
    done = [found.of_day(day.day) for day in days]
    speech_to_text = sum(day.speech_to_text_micros for day in days)
    audio_ms = sum(one.audio_ms for one in done)
    text_to_speech = sum(day.text_to_speech_micros for day in days)
    characters = sum(one.characters for one in done)
    return (
        UnitCost(speech_to_text, audio_ms, cost.per_audio_hour(speech_to_text, audio_ms)),
        UnitCost(text_to_speech, characters, cost.per_1000_characters(text_to_speech, characters)),
    )


def _by_week(days: Sequence[DayCost]) -> list[tuple[date, list[DayCost]]]:
    found: dict[date, list[DayCost]] = {}
    for day in days:
        found.setdefault(activity.week_of(day.day), []).append(day)
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
    for monday in sorted({activity.week_of(day) for day in span.days}):
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
                "word_error_rate", _("Word error rate"), Form.SHARE, TARGETS_OF[Metric.WORD_ERROR_RATE].launch
            ),
            Column("corrections", _("Corrections"), is_drawn=False),
            *_estimate_columns(
                "mean_opinion_score", _("Mean opinion score"), Form.SCORE, TARGETS_OF[Metric.OPINION_SCORE].launch
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
    by_day = dict(figures.peaks_by_day(span.first, span.last))
    found = [(day, by_day.get(day)) for day in span.days]
    return Table(
        "peak-users",
        _("Peak concurrent users"),
        [
            Column("day", _("Day"), Form.DAY),
            Column("asr_users", str(FEATURES["asr"])),
            Column("tts_users", str(FEATURES["tts"])),
            Column("users", _("Both together"), is_drawn=False),
        ],
        [(day, *((users.asr, users.tts, users.together) if users else (None, None, None))) for day, users in found],
        chart="line",
        unfinished=span.unfinished,
        empty=_("The capacity watcher did not run in these days (manage.py watch_capacity)."),
        is_whole=True,
    )
