"""The date range that the dashboard shows: a preset or a custom range, from the query string of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usage.activity import week_of
from usage.period import day_of, start_of

MAX_DAYS = 366
DEFAULT = "30"
PRESETS = {
    "7": gettext_lazy("7 days"),
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "month": gettext_lazy("This month"),
}


class BadQuery(ValueError):
    """Raised when a query parameter is invalid.

    ``message``: the reason, translated, to be shown on the page.
    ``field``: name of the parameter.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@dataclass(frozen=True)
class DateRange:
    """The days from ``first`` to ``last`` inclusive, in the service's time zone.

    ``now``: the current time; decides which days are over.
    ``preset``: name in ``PRESETS``; "" for a custom range.
    """

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
        """The end of the range: the midnight after its last day."""
        return start_of(self.last + timedelta(days=1))

    @property
    def before(self) -> DateRange:
        """The range of equal length directly before this one."""
        length = timedelta(days=len(self.days))
        return DateRange(self.first - length, self.last - length, self.now)

    @property
    def parts(self) -> dict[str, str]:
        """The query parameters that select this range."""
        if self.preset:
            return {"range": self.preset}
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}

    @property
    def includes_today(self) -> bool:
        return self.last == day_of(self.now)

    @property
    def unfinished(self) -> date | None:
        """The current day if it is in the range, else None."""
        return self.last if self.includes_today else None

    @property
    def unfinished_week(self) -> date | None:
        """The Monday of the current week if the current day is in the range, else None."""
        return week_of(self.last) if self.includes_today else None

    @property
    def finished_days(self) -> list[date]:
        """The days of the range that are over. Only these are compared with the days of ``before``."""
        return self.days[:-1] if self.includes_today else self.days

    @property
    def compared_days(self) -> list[date]:
        """The days of ``before`` with which ``finished_days`` are compared."""
        return self.before.days[: len(self.finished_days)]

    def in_words(self) -> str:
        """Return the range as text, for example ``1–30 November 2026``."""
        first = self.first
        last = self.last
        if first == last:
            return date_format(last, "j F Y")
        until = date_format(last, "j F Y")
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day}–{until}"
        return f"{date_format(first, 'j F' if first.year == last.year else 'j F Y')} – {until}"


def preset(name: str, now: datetime) -> DateRange:
    """Return the date range of a preset, which ends today. Raise ``BadQuery`` for an unknown preset."""
    today = day_of(now)
    if name == "month":
        return DateRange(today.replace(day=1), today, now, name)
    if name not in PRESETS:
        known = ", ".join(PRESETS)
        raise BadQuery(
            _("There is no range “%(name)s”. Choose one of %(known)s.") % {"name": name, "known": known}, "range"
        )
    return DateRange(today - timedelta(days=int(name) - 1), today, now, name)


def asked(query: Mapping[str, str], now: datetime) -> DateRange:
    """Return the date range that the query parameters select. Raise ``BadQuery`` if they are invalid.

    ``query``: has either ``range`` (a preset), or ``from`` and ``to`` (days), or none of them (the preset ``DEFAULT``).
    """
    own = {field: query.get(field, "").strip() for field in ("from", "to")}
    if not any(own.values()):
        return preset(query.get("range", "").strip() or DEFAULT, now)
    if query.get("range", "").strip():
        raise BadQuery(_("Give either a range, or from and to."), "range")
    first, last = (_day(own[field], field) for field in ("from", "to"))
    if first > last:
        raise BadQuery(
            _("The first day, %(first)s, is after the last, %(last)s.") % {"first": first, "last": last}, "from"
        )
    if last > day_of(now):
        raise BadQuery(_("The last day, %s, is still to come.") % last, "to")
    if (last - first).days >= MAX_DAYS:
        days = f"{(last - first).days + 1:,}"
        raise BadQuery(
            _("%(days)s days are more than the %(most)s that can be shown at once.") % {"days": days, "most": MAX_DAYS},
            "from",
        )
    return DateRange(first, last, now)


def _day(text: str, field: str) -> date:
    if not text:
        raise BadQuery(_("The first day is missing.") if field == "from" else _("The last day is missing."), field)
    return day_from_text(text, field)


def day_from_text(text: str, field: str) -> date:
    """Return the day in a query parameter. Raise ``BadQuery`` if it is invalid or before 2000.

    ``field``: name of the parameter, for the error.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(_("“%s” is not a date. Write it as 2026-11-24.") % text[:40], field) from error
    if day.year < 2000:  # no data are that old, and year 1 cannot be converted to UTC
        raise BadQuery(_("The day %s is too long ago.") % day, field)
    return day
