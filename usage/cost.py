"""Costs of the service: prices of infrastructure, and the resulting cost per unit of speech work.

All amounts are integers in millionths of a US dollar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q, Sum
from django.utils import timezone

from core.audit import Audited
from core.quantities import MICROS
from usage.entry import Kind, Measure
from usage.money import divide_half_up
from usage.period import day_of, end_of_month, month_after, month_of, start_of
from usage.rollups import DailyMix

MS_PER_HOUR = 3_600_000
SECONDS_PER_HOUR = 3600
CHARACTERS = 1000
HOURS_A_MONTH = 730


class InfrastructureCost(Audited):
    """The number and the price of the units of one resource, such as GPUs, that run during a period.

    When the number or the price changes, staff set the end of this row and add a new row.
    """

    recorded = ("quantity", "price_micros", "per", "speech_to_text_percent", "starts_at", "ends_at", "note")

    class Resource(models.TextChoices):
        T4 = "t4", "T4 GPU"
        API_POD = "api_pod", "API pod"
        OTHER = "other", "Other"

    class Per(models.TextChoices):
        HOUR = "hour", "Hour"
        MONTH = "month", "Month"

    resource = models.CharField(max_length=16, choices=Resource)
    note = models.CharField(max_length=200, blank=True)
    quantity = models.PositiveIntegerField(default=1)
    price_micros = models.PositiveBigIntegerField("price of one", help_text="Millionths of a US dollar")
    per = models.CharField(max_length=5, choices=Per)
    speech_to_text_percent = models.PositiveSmallIntegerField(
        default=50,
        validators=[MaxValueValidator(100)],
        help_text="The share that serves speech to text. The rest serves text to speech.",
    )
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: still running.")

    class Meta:
        ordering = ["resource", "-starts_at"]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.get_resource_display()}"

    def clean(self) -> None:
        if self.ends_at is not None and self.starts_at is not None and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "The end must be after the start."})

    def cost_micros(self, start: datetime, end: datetime) -> int:
        """Return the cost from ``start`` to ``end``. Both must be in the same month; ``end`` may be the month's end."""
        first = max(start, self.starts_at)
        last = min(end, self.ends_at or end)
        seconds = max(0, round((last - first).total_seconds()))
        whole = SECONDS_PER_HOUR
        if self.per == self.Per.MONTH:
            month = month_of(start)
            whole = round((end_of_month(month) - start_of(month)).total_seconds())
        return divide_half_up(self.quantity * self.price_micros * seconds, whole)


@dataclass(frozen=True)
class MonthCost:
    """Cost of a month so far, and a forecast for the whole month.

    ``until``: time up to which costs are counted.
    ``spent_micros``: total cost up to ``until``.
    ``forecast_micros``: cost of the whole month if the resources run as entered so far.
    ``run_rate_micros_per_day``: cost per day of the resources that run at ``until``.
    ``speech_to_text_micros``: part of ``spent_micros`` for speech to text.
    ``text_to_speech_micros``: part of ``spent_micros`` for text to speech.
    ``audio_ms``: milliseconds of charged audio in the month.
    ``characters``: number of charged characters in the month.
    """

    until: datetime
    spent_micros: int
    forecast_micros: int
    run_rate_micros_per_day: int
    speech_to_text_micros: int
    text_to_speech_micros: int
    audio_ms: int
    characters: int

    @property
    def per_audio_hour_micros(self) -> int | None:
        """The cost of speech to text per hour of audio; None if the month has no audio."""
        return per_audio_hour(self.speech_to_text_micros, self.audio_ms)

    @property
    def per_1000_characters_micros(self) -> int | None:
        """The cost of text to speech per 1,000 characters; None if the month has no characters."""
        return per_1000_characters(self.text_to_speech_micros, self.characters)


def month_cost(now: datetime | None = None) -> MonthCost:
    """Return the cost of the month that contains ``now``, up to ``now`` (default: the current time)."""
    now = now or timezone.now()
    month = month_of(now)
    start = start_of(month)
    end = end_of_month(month)
    rows = list(InfrastructureCost.objects.filter(Q(ends_at=None) | Q(ends_at__gt=start), starts_at__lt=end))
    total, heard = _spent(rows, now)
    used = DailyMix.objects.filter(day__gte=month, day__lt=day_of(end))  # far fewer rows than DailyUse
    return MonthCost(
        until=now,
        spent_micros=total,
        forecast_micros=total + sum(row.cost_micros(now, end) for row in rows),
        run_rate_micros_per_day=sum(_per_day(row, now) for row in rows),
        speech_to_text_micros=heard,
        text_to_speech_micros=total - heard,
        audio_ms=_total(used, Measure.AUDIO, "audio_ms"),
        characters=_total(used, Measure.CHARACTERS, "characters"),
    )


def month_cost_usd(now: datetime) -> float | None:
    """Return the forecast cost of the month that contains ``now`` in US dollars; None if no prices are entered."""
    if not InfrastructureCost.objects.exists():
        return None
    return month_cost(now).forecast_micros / MICROS


@dataclass(frozen=True)
class MonthlyRates:
    """Monthly cost of the resources that run at a given time.

    ``total_micros``: cost of all these resources.
    ``one_micros``: monthly price of one unit of each resource.
    """

    total_micros: int
    one_micros: Mapping[str, int]

    def of(self, resource: str) -> int:
        """Return the monthly price of one unit of ``resource``; 0 if it does not run, so that its price is unknown."""
        return self.one_micros.get(resource, 0)


def monthly_rates(now: datetime) -> MonthlyRates:
    """Return the monthly cost of the resources that run at ``now``. A month counts as 730 hours."""
    rows = InfrastructureCost.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now)
    total = 0
    ones = {}
    for row in rows.order_by("starts_at"):
        one = HOURS_A_MONTH * row.price_micros if row.per == row.Per.HOUR else row.price_micros
        total += row.quantity * one
        ones[row.resource] = one
    return MonthlyRates(total, ones)


def running_at(now: datetime) -> dict[str, int]:
    """Return the number of units of each resource that run at ``now``, keyed by resource."""
    rows = InfrastructureCost.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now).order_by()
    return dict(rows.values_list("resource").annotate(Sum("quantity")))


@dataclass(frozen=True)
class DayCost:
    """Cost of one day, in millionths of a US dollar. For the current day, this is the cost so far."""

    day: date
    micros: int
    speech_to_text_micros: int

    @property
    def text_to_speech_micros(self) -> int:
        return self.micros - self.speech_to_text_micros


def costs_by_day(days: Sequence[date], now: datetime) -> list[DayCost]:
    """Return the cost of each day. ``days`` must be consecutive. Today's cost is counted up to ``now``."""
    if not days:
        return []
    start = start_of(days[0])
    end = start_of(days[-1] + timedelta(days=1))
    rows = list(InfrastructureCost.objects.filter(Q(ends_at=None) | Q(ends_at__gt=start), starts_at__lt=end))
    costs = []
    for day in days:
        begins = start_of(day)
        ends = min(now, start_of(day + timedelta(days=1)))
        # Subtract the month's running totals, so that the rounded costs of the days add up to the month's cost.
        before = _spent(rows, begins) if day.day > 1 else (0, 0)
        after = _spent(rows, ends, month_of(begins))
        costs.append(DayCost(day, after[0] - before[0], after[1] - before[1]))
    return costs


def _spent(rows: Sequence[InfrastructureCost], until: datetime, month: date | None = None) -> tuple[int, int]:
    """Return the cost from the start of the month to ``until``: the total, and the part for speech to text.

    ``until``: a time in the month or at its end.
    ``month``: first day of the month; None: the month that contains ``until``.
    """
    start = start_of(month or month_of(until))
    spent = [(row.cost_micros(start, until), row.speech_to_text_percent) for row in rows]
    return sum(micros for micros, _percent in spent), sum(
        divide_half_up(micros * percent, 100) for micros, percent in spent
    )


def per_audio_hour(micros: int, audio_ms: int) -> int | None:
    """Return the cost per hour of audio, in the unit of ``micros``; None if ``audio_ms`` is 0."""
    return _per(micros, MS_PER_HOUR, audio_ms)


def per_1000_characters(micros: int, characters: int) -> int | None:
    """Return the cost per 1,000 characters, in the unit of ``micros``; None if ``characters`` is 0."""
    return _per(micros, CHARACTERS, characters)


def _total(used: models.QuerySet[DailyMix], measure: Measure, column: str) -> int:
    kinds = [kind.value for kind in Kind if kind.measure is measure]
    return int(used.filter(kind__in=kinds).aggregate(total=Sum(column, default=0))["total"])


def _per_day(row: InfrastructureCost, now: datetime) -> int:
    """Return the cost per day of the resource in ``row`` at ``now``; 0 if the resource does not run at ``now``.

    A monthly price is divided by the number of days in the month.
    """
    if row.starts_at > now or (row.ends_at is not None and row.ends_at <= now):
        return 0
    if row.per == row.Per.HOUR:
        return 24 * row.quantity * row.price_micros
    days = (month_after(month_of(now)) - month_of(now)).days
    return divide_half_up(row.quantity * row.price_micros, days)


def _per(micros: int, unit: int, amount: int) -> int | None:
    return divide_half_up(micros * unit, amount) if amount > 0 else None
