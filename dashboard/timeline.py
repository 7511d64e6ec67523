"""The recent events on the admin's first page: changes to flags and ramps, alerts, outages and deployments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nlargest
from operator import attrgetter

from django.db.models import Q
from django.urls import reverse

from capacity.deployment import AUDIT_SUBJECT as DEPLOY
from capacity.models import Alert, Outage
from core.audit import Change
from core.quantities import span
from rollout.feature import VOICE, Feature
from rollout.models import Ramp
from rollout.percentage import shown

DAYS = timedelta(days=90)
LATEST = 12
FLAGS = (VOICE, *Feature)
RAMP_STATES = {
    Ramp.State.RUNNING: "runs",
    Ramp.State.PAUSED: "paused",
    Ramp.State.FINISHED: "finished",
    Ramp.State.ROLLED_BACK: "rolled back",
    Ramp.State.ABORTED: "aborted",
}
BAD = "critical"  # as in ``homepage_data.Tone``
GOOD = "ok"
PLAIN = "unknown"


@dataclass(frozen=True)
class TimelineEvent:
    """One event of the timeline.

    ``what``: the event in words.
    ``why``: the recorded reason; for an alert that fires, who was notified.
    ``who``: the user or the ramp that caused the event; "" if neither did.
    ``tone``: ``BAD``, ``GOOD`` or ``PLAIN``; decides the colour.
    ``link``: URL of the admin page about the event.
    """

    at: datetime
    what: str
    why: str = ""
    who: str = ""
    tone: str = PLAIN
    link: str = ""


def latest(now: datetime, *, rollout: bool, capacity: bool) -> list[TimelineEvent]:
    """Return the newest events, the newest first.

    ``rollout``, ``capacity``: whether the viewer may see events of the roll-out, and of capacity.
    """
    found: list[TimelineEvent] = []
    if rollout:
        found += _rollout(now - DAYS)
    if capacity:
        found += [*_alerts(now - DAYS), *_outages(now - DAYS), *_deploys(now - DAYS)]
    return nlargest(LATEST, found, key=attrgetter("at"))


def _rollout(since: datetime) -> Iterator[TimelineEvent]:
    of_ramp = Q()
    for name in FLAGS:
        of_ramp |= Q(subject__startswith=f"{name}: ramp ")
    rows = Change.objects.filter(Q(subject__in=FLAGS) | of_ramp, at__gte=since).order_by("-id")
    changes = list(rows[: 5 * LATEST])
    # A rollback changes a ramp and a flag, but is shown as one event: that of the ramp, which has the reason.
    rolled_back = {change.who for change in changes if change.after.get("state") == Ramp.State.ROLLED_BACK}
    for change in changes:
        flag, _, ramp = change.subject.partition(": ")
        if ramp and change.before:
            yield from _of_ramp(change, flag, ramp)
        elif not ramp and not (change.who in rolled_back and _is_lower(change)):
            yield from _of_flag(change)


def _is_lower(change: Change) -> bool:
    before = change.before.get("percent")
    after = change.after.get("percent")
    return before is not None and after is not None and float(after) < float(before)


def _of_ramp(change: Change, flag: str, ramp: str) -> Iterator[TimelineEvent]:
    state = change.after.get("state")
    if state is None:
        return
    words = f"{ramp.capitalize()} of {flag} {RAMP_STATES.get(state, state)}"
    why = change.after.get("reason") or change.why
    tone = {Ramp.State.ROLLED_BACK: BAD, Ramp.State.FINISHED: GOOD}.get(state, PLAIN)
    link = reverse("admin:rollout_ramp_change", args=[ramp.rpartition(" ")[2]])
    yield TimelineEvent(change.at, words, why, change.who, tone, link)


def _of_flag(change: Change) -> Iterator[TimelineEvent]:
    before = change.before
    after = change.after
    link = reverse("admin:rollout_change_change", args=[change.pk])
    if "killed" in after and before:
        words = "kill switch on: off for everybody" if after["killed"] else "kill switch off"
        tone = BAD if after["killed"] else GOOD
        yield TimelineEvent(change.at, f"{change.subject}: {words}", change.why, change.who, tone, link)
    if "everyone" in after and before and after["everyone"] is not None:
        words = "on for everyone" if after["everyone"] else "off for everyone"
        yield TimelineEvent(change.at, f"{change.subject}: {words}", change.why, change.who, link=link)
    if "percent" in after and "percent" in before:
        words = f"{_percent(before['percent'])} → {_percent(after['percent'])}"
        yield TimelineEvent(change.at, f"{change.subject} {words}", change.why, change.who, link=link)


def _percent(value: str | None) -> str:
    return "as voice" if value is None else shown(float(value))


def _alerts(since: datetime) -> Iterator[TimelineEvent]:
    rows = Alert.objects.filter(fired_at__gte=since).prefetch_related("deliveries")
    for alert in rows.order_by("-fired_at")[:LATEST]:
        link = reverse("admin:capacity_alert_change", args=[alert.pk])
        words = f"{alert.get_severity_display()} alert: {alert.reading(alert.worst)}"
        assert alert.fired_at is not None  # the filter above excludes None
        yield TimelineEvent(alert.fired_at, words, alert.notified(), tone=alert.severity, link=link)
        if alert.resolved_at is not None:
            lasted = span(alert.resolved_at - alert.fired_at)
            words = f"Resolved after {lasted}: {alert.condition()}"
            yield TimelineEvent(alert.resolved_at, words, alert.outcome, tone=GOOD, link=link)


def _outages(since: datetime) -> Iterator[TimelineEvent]:
    for outage in Outage.objects.filter(began_at__gte=since)[:LATEST]:
        link = reverse("admin:capacity_outage_change", args=[outage.pk])
        lasted = f", for {span(outage.ended_at - outage.began_at)}" if outage.ended_at else ", still"
        yield TimelineEvent(outage.began_at, f"Not ready{lasted}", outage.reason, tone=BAD, link=link)


def _deploys(since: datetime) -> Iterator[TimelineEvent]:
    for change in Change.objects.filter(subject=DEPLOY, at__gte=since)[:LATEST]:
        before = change.before.get("version")
        after = change.after.get("version")
        words = f"Version {after} deployed" + (f", after {before}" if before else "")
        yield TimelineEvent(change.at, words, link=reverse("admin:rollout_change_change", args=[change.pk]))
