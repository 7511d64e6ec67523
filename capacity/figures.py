"""Capacity figures for the admin and the dashboard: current and past concurrent users, peaks, and alert levels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from capacity import concurrent_users
from capacity.models import HourlyPeak, Metric, Phase, Rule, Sample
from capacity.presence import Presence
from usage.period import start_of

logger = logging.getLogger(__name__)

CURVE_STEP = timedelta(minutes=5)
CURVE_STEPS = timedelta(days=1) // CURVE_STEP
FRESH = timedelta(minutes=2)  # an older sample does not count as current


@dataclass(frozen=True)
class Users:
    """Numbers of distinct end users served at the same time.

    ``asr``: users of speech to text.
    ``tts``: users of text to speech.
    ``together``: users of either; a user of both counts once.
    ``fallbacks``: replies since the previous heartbeat that eSpeak NG spoke, because the neural voice was too busy or
    failed.
    """

    asr: int
    tts: int
    together: int
    fallbacks: int = 0


@dataclass(frozen=True)
class CurvePoint:
    """The peak of concurrent users in one 5-minute step of a day. ``users`` is None if nothing was measured."""

    at: datetime
    users: Users | None


@dataclass(frozen=True)
class Levels:
    """The numbers of concurrent users that charts mark for comparison. Each is None if there is no such rule or phase.

    ``warning``: the lowest threshold of the warning rules.
    ``critical``: the lowest threshold of the critical rules.
    ``design``: the number of concurrent users for which the service is built.
    """

    warning: float | None
    critical: float | None
    design: int | None


def now_served() -> Users | None:
    """Return the concurrent users of all processes as of their last heartbeats, or None if they cannot be read."""
    try:
        served: Presence = concurrent_users.now_served()
    except Exception:  # show the page without this number
        logger.warning("the leases cannot be read", exc_info=True)
        return None
    return Users(len(served.asr), len(served.tts), len(served.together), served.fallbacks)


def latest(now: datetime) -> Sample | None:
    """Return the newest sample, or None if it is older than ``FRESH``, for example because no watcher is running."""
    return Sample.objects.filter(at__gt=now - FRESH, at__lte=now).first()


def day_curve(day: date, first_step: int = 0) -> list[CurvePoint]:
    """Return the peak of concurrent users in each 5-minute step of a day, up to the next midnight.

    ``day``: a day in the service's time zone.
    ``first_step``: index of the step to begin with; 0 begins at midnight.
    """
    start = timezone.make_aware(datetime.combine(day, datetime.min.time())) + first_step * CURVE_STEP
    steps = CURVE_STEPS - first_step
    busiest: list[Users | None] = [None] * steps
    end = start + steps * CURVE_STEP
    rows = Sample.objects.filter(at__gte=start, at__lt=end).exclude(users=None).order_by("at")
    for at, asr, tts, together in rows.values_list("at", "asr_users", "tts_users", "users"):
        step = (at - start) // CURVE_STEP
        known = busiest[step] or Users(0, 0, 0)
        busiest[step] = Users(max(known.asr, asr or 0), max(known.tts, tts or 0), max(known.together, together or 0))
    return [CurvePoint(start + index * CURVE_STEP, users) for index, users in enumerate(busiest)]


def peak(first: date, last: date) -> Users | None:
    """Return the peak of concurrent users from ``first`` to ``last`` inclusive, or None if nothing was measured.

    The peaks of speech to text, of text to speech and of both together may be from different hours. Pages that show the
    peak of a whole range call this function, so that they all show the same numbers.
    """
    start = start_of(first)
    end = start_of(last + timedelta(days=1))
    most = (
        HourlyPeak.objects.filter(hour__gte=start, hour__lt=end)
        .order_by()
        .aggregate(asr=Max("asr_users"), tts=Max("tts_users"), together=Max("users"))
    )
    return None if most["together"] is None else Users(most["asr"], most["tts"], most["together"])


def peaks_by_day(since: date, until: date) -> list[tuple[date, Users]]:
    """Return the peak of concurrent users on each day from ``since`` to ``until`` inclusive.

    Days on which nothing was measured are absent.
    """
    start = timezone.make_aware(datetime.combine(since, datetime.min.time()))
    end = timezone.make_aware(datetime.combine(until + timedelta(days=1), datetime.min.time()))
    days: dict[date, Users] = {}
    rows = HourlyPeak.objects.filter(hour__gte=start, hour__lt=end).order_by("hour")
    for hour, asr, tts, together in rows.values_list("hour", "asr_users", "tts_users", "users"):
        day = timezone.localdate(hour)
        known = days.get(day, Users(0, 0, 0))
        days[day] = Users(max(known.asr, asr), max(known.tts, tts), max(known.together, together))
    return list(days.items())


def levels() -> Levels:
    """Return the levels for concurrent users. Only enabled alert rules count.

    ``design`` is the upper limit of the first growth phase whose limit exceeds the critical level.
    """
    thresholds: dict[str, float] = {}
    for rule in Rule.objects.filter(metric=Metric.USERS, is_enabled=True):
        thresholds[rule.severity] = min(rule.level, thresholds.get(rule.severity, rule.level))
    critical = thresholds.get(Rule.Severity.CRITICAL)
    reaching = Phase.objects.filter(concurrent_to__gt=critical or 0).values_list("concurrent_to", flat=True)
    return Levels(thresholds.get(Rule.Severity.WARNING), critical, reaching.first())
