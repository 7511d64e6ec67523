"""Events in a date range: changes to the roll-out, outages and new growth phases. The dashboard's charts mark them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Min
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from capacity.models import Outage, Phase
from dashboard.date_range import DateRange
from dashboard.tables import Column, Form, Table
from rollout.models import Change, Flag
from usage import activity
from usage.period import day_of
from usage.rollups import DailyActive

ROLLOUT = gettext_lazy("Roll-out")
OUTAGE = gettext_lazy("Outage")
PHASE = gettext_lazy("Phase")
MAX_REASON = 160
SHOWN = 12


@dataclass(frozen=True)
class Event:
    """An event to mark in charts. ``place`` is its number in the charts and in the list of events, from 1."""

    place: int
    day: date
    kind: str
    text: str

    @property
    def as_json(self) -> dict[str, Any]:
        return {"place": self.place, "day": self.day.isoformat(), "text": f"{self.kind}: {self.text}"}


def events(span: DateRange) -> list[Event]:
    """Return the events in a date range, in order of time."""
    found = sorted([*_rollout(span), *_outages(span), *_phases(span)], key=lambda one: one[0])
    return [Event(place, day_of(at), str(kind), text) for place, (at, kind, text) in enumerate(found, 1)]


def table(found: Sequence[Event]) -> Table:
    return Table(
        "events",
        _("Events"),
        [
            Column("number", _("No."), Form.TEXT),
            Column("day", _("Day"), Form.DAY),
            Column("kind", _("What"), Form.TEXT),
            Column("text", _("In words"), Form.TEXT),
        ],
        [(str(one.place), one.day, one.kind, one.text) for one in found],
        empty=_("No change of the roll-out, no outage, no new phase in these days."),
        shown_rows=SHOWN,
        is_whole=True,
    )


_Found = tuple[datetime, Any, str]


def _rollout(span: DateRange) -> Iterator[_Found]:
    """Yield changes to the flags' percentages and switches.

    If several flags are changed in the same way on one day, that is one event.
    """
    flags = list(Flag.objects.values_list("name", flat=True))
    changes = Change.objects.filter(subject__in=flags, at__gte=span.start, at__lt=span.end).order_by("at", "id")
    same: dict[tuple[date, str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for change in changes:
        if what := _in_words(change.before, change.after):
            same[day_of(change.at), what, change.why].append((change.at, change.subject))
    for (_day, what, why), rows in same.items():
        names = ", ".join(dict.fromkeys(name for _at, name in rows))
        yield rows[0][0], ROLLOUT, f"{names} {what}" + (f" ({_short(why)})" if why else "")


def _in_words(before: dict[str, Any], after: dict[str, Any]) -> str:
    if not before:  # the flag was created
        return ""
    if after.get("killed") is True:
        return _("switched off by the kill switch")
    if after.get("killed") is False:
        return _("switched on again after the kill switch")
    if after.get("everyone") is not None:
        return _("on for everyone") if after["everyone"] else _("off for everyone")
    if "percent" in after:
        return f"{_percent(before.get('percent'))} → {_percent(after['percent'])}"
    return ""


def _percent(value: object) -> str:
    """Return a flag's percentage as text. None means that the flag follows the flag "voice"."""
    return _("as voice") if value is None else f"{float(str(value)):g} %"


def _short(text: str) -> str:
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 1].rstrip()}…"


def _outages(span: DateRange) -> Iterator[_Found]:
    for outage in Outage.objects.filter(began_at__gte=span.start, began_at__lt=span.end):
        minutes = max(1, round(((outage.ended_at or outage.seen_at) - outage.began_at).total_seconds() / 60))
        yield (
            outage.began_at,
            OUTAGE,
            _("%(minutes)d min: %(reason)s")
            % {
                "minutes": minutes,
                "reason": _short(outage.reason),
            },
        )


def _phases(span: DateRange) -> Iterator[_Found]:
    """Yield an event for each growth phase that was first reached in the range.

    A phase is reached when the number of active users exceeds the limits of all earlier phases.
    """
    first = DailyActive.objects.aggregate(first=Min("day"))["first"]
    if first is None or first > span.last:
        return
    phases = list(Phase.objects.all())
    reached = 0
    for day, active in activity.active_by_day(first, span.last).items():
        now = next((place for place, phase in enumerate(phases) if phase.holds(active.month, 0)), len(phases) - 1)
        if now > reached:
            reached = now
            if day >= span.first:
                at = timezone.make_aware(datetime.combine(day, datetime.min.time()))
                yield (
                    at,
                    PHASE,
                    _("%(phase)s: %(users)s users in 30 days")
                    % {
                        "phase": phases[now],
                        "users": f"{active.month:,}",
                    },
                )
