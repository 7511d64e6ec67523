"""Days and months in the service's time zone. A month is represented by its first day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone


def day_of(moment: datetime) -> date:
    return timezone.localtime(moment).date()


def month_of(moment: datetime) -> date:
    """Return the first day of the month that contains ``moment``."""
    return day_of(moment).replace(day=1)


def month_after(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def month_before(month: date) -> date:
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


def start_of(day: date) -> datetime:
    """Return the start (midnight) of ``day``."""
    return timezone.make_aware(datetime.combine(day, time.min))


def end_of_month(month: date) -> datetime:
    """Return the end of the month, which is the start of the next month."""
    return start_of(month_after(month))
