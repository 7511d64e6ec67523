"""Make bar charts of history by hour or by day. The admin shows them above its lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.db.models.functions import TruncHour
from django.utils import timezone

from capacity import figures
from capacity.models import ActiveUsers, ProbeDay, Sample

DAYS = 90
HOURS = 48


@dataclass(frozen=True)
class Bar:
    """One bar of a chart.

    ``label``: the hour or day.
    ``value``: the value with its unit, as text.
    ``percent``: the height in per cent of the chart's height.
    ``is_bad``: whether the value needs attention.
    """

    label: str
    value: str
    percent: float
    is_bad: bool = False


@dataclass(frozen=True)
class Chart:
    """A bar chart.

    ``top``: label of the highest value.
    """

    title: str
    top: str
    bars: list[Bar]

    @property
    def first(self) -> str:
        return self.bars[0].label

    @property
    def last(self) -> str:
        return self.bars[-1].label


def _chart(title: str, values: list[tuple[str, float]], unit: str = "") -> list[Chart]:
    if not values:
        return []
    highest = max(value for _label, value in values) or 1
    bars = [Bar(label, f"{value:,.0f}{unit}", 100 * value / highest) for label, value in values]
    return [Chart(title, f"{highest:,.0f}{unit}", bars)]


def of_samples(now: datetime) -> list[Chart]:
    """Chart the peak of concurrent users in each of the last ``HOURS`` hours. Return [] if there is no data."""
    rows = Sample.objects.filter(at__gt=now - timedelta(hours=HOURS)).exclude(users=None).order_by()
    hours = rows.annotate(hour=TruncHour("at")).values("hour").annotate(most=Max("users")).order_by("hour")
    values = [(f"{timezone.localtime(row['hour']):%-d %b, %H:00}", float(row["most"])) for row in hours]
    return _chart(f"Peak concurrent users, by hour of the last {HOURS} hours", values)


def of_peaks(now: datetime) -> list[Chart]:
    """Chart the peak of concurrent users on each of the last ``DAYS`` days. Return [] if there is no data."""
    today = timezone.localdate(now)
    days = figures.peaks_by_day(today - timedelta(days=DAYS - 1), today)
    values = [(f"{day:%-d %b}", float(users.together)) for day, users in days]
    return _chart(f"Peak concurrent users, by day of the last {DAYS}", values)


def of_active_users(now: datetime) -> list[Chart]:
    """Chart the counts of active users of the last ``4 * DAYS`` days. Return [] if there is no data."""
    today = timezone.localdate(now)
    rows = ActiveUsers.objects.filter(day__gt=today - timedelta(days=4 * DAYS)).order_by("day")
    values = [(f"{day:%-d %b %Y}", float(users)) for day, users in rows.values_list("day", "users")]
    return _chart("Active users in the 30 days to each day", values)


def of_uptime(now: datetime) -> list[Chart]:
    """Chart the uptime on each of the last ``DAYS`` days. Return [] if there is no data.

    The scale begins at 90 %, because failures would be invisible on a scale that begins at 0.
    """
    today = timezone.localdate(now)
    rows = ProbeDay.objects.filter(day__gt=today - timedelta(days=DAYS), probes__gt=0).order_by("day")
    bars = []
    for row in rows:
        up = 100 * (row.probes - row.failures) / row.probes
        bars.append(Bar(f"{row.day:%-d %b}", f"{up:.2f} %", max(4.0, 100 - 10 * (100 - up)), row.failures > 0))
    return [Chart(f"Uptime by day of the last {DAYS} (the scale begins at 90 %)", "100 %", bars)] if bars else []
