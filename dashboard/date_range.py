"""Which days the dashboard shows: a preset or one's own, from the page's address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from usage.period import day_of, start_of

MAX_DAYS = 366
DEFAULT = "30"
PRESETS = {"7": "7 days", "30": "30 days", "90": "90 days", "month": "This month"}


class BadSpan(ValueError):
    """The address asks for days that cannot be shown; says why, and which field is to blame."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.message, self.field = message, field


@dataclass(frozen=True)
class Span:
    """``first`` to ``last``, both included. ``preset`` is empty for days of one's own."""

    first: date
    last: date
    now: datetime
    preset: str = ""

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    @property
    def start(self) -> datetime:
        return start_of(self.first)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return start_of(self.last + timedelta(days=1))

    @property
    def before(self) -> Span:
        """As many days, up to the day before."""
        length = timedelta(days=len(self.days))
        return Span(self.first - length, self.last - length, self.now)

    @property
    def query(self) -> str:
        """The part of the address that asks for it."""
        if self.preset:
            return urlencode({"range": self.preset})
        return urlencode({"from": self.first.isoformat(), "to": self.last.isoformat()})

    @property
    def includes_today(self) -> bool:
        return self.last == day_of(self.now)

    def in_words(self) -> str:
        """`1–30 November 2026`."""
        first, last = self.first, self.last
        if first == last:
            return f"{last.day} {last:%B %Y}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day}–{last.day} {last:%B %Y}"
        year = "" if first.year == last.year else f" {first.year}"
        return f"{first.day} {first:%B}{year} – {last.day} {last:%B %Y}"


def preset(name: str, now: datetime) -> Span:
    """Raises ``BadSpan``."""
    today = day_of(now)
    if name == "month":
        return Span(today.replace(day=1), today, now, name)
    if name not in PRESETS:
        raise BadSpan(f"There is no range “{name}”. Choose one of {', '.join(PRESETS)}.", "range")
    return Span(today - timedelta(days=int(name) - 1), today, now, name)


def asked(query: Mapping[str, str], now: datetime) -> Span:
    """``range``, or ``from`` and ``to``. Raises ``BadSpan``."""
    own = {field: query.get(field, "").strip() for field in ("from", "to")}
    if not any(own.values()):
        return preset(query.get("range", "").strip() or DEFAULT, now)
    if query.get("range", "").strip():
        raise BadSpan("Give either a range, or from and to.", "range")
    first, last = (_day(own[field], field) for field in ("from", "to"))
    if first > last:
        raise BadSpan(f"The first day, {first}, is after the last, {last}.", "from")
    if last > day_of(now):
        raise BadSpan(f"The last day, {last}, is still to come.", "to")
    if (last - first).days >= MAX_DAYS:
        raise BadSpan(
            f"{(last - first).days + 1:,} days are more than the {MAX_DAYS} that can be shown at once.", "from"
        )
    return Span(first, last, now)


def _day(text: str, field: str) -> date:
    name = {"from": "first", "to": "last"}[field]
    if not text:
        raise BadSpan(f"The {name} day is missing.", field)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadSpan(f"“{text[:40]}” is no day. Write it as 2026-11-24.", field) from error
    if day.year < 2000:  # nothing is that old, and time zones of such years end in the Middle Ages
        raise BadSpan(f"The {name} day, {day}, is too long ago.", field)
    return day
