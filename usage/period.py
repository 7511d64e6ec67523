"""Days and months in the service's time zone, as users and accountants know them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone


def day_of(moment: datetime) -> date:
    return timezone.localtime(moment).date()


def month_of(moment: datetime) -> date:
    """The first day of the moment's month."""
    return day_of(moment).replace(day=1)


def month_after(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def month_before(month: date) -> date:
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


def start_of(day: date) -> datetime:
    """Midnight, the first moment of the day."""
    return timezone.make_aware(datetime.combine(day, time.min))


def end_of_month(month: date) -> datetime:
    """The first moment after the month."""
    return start_of(month_after(month))
