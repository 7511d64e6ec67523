"""Find the current growth phase from measured use, and predict when the next phase will be reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from capacity import figures
from capacity.growth import Fit, Point, fit
from capacity.models import ActiveUsers, HourlyPeak, Phase
from usage import activity
from usage.models import LedgerEntry

ACTIVE_DAYS = 30
HISTORY_DAYS = 91  # days of history to which the growth curve is fitted
WEEK = 7
FARTHEST_DAYS = 730.0  # no extrapolation beyond two years


@dataclass(frozen=True)
class MeasuredUse:
    """The measured use of the last 30 days. None means not measured yet.

    ``active_users``: distinct end users who were served.
    ``peak_concurrent``: highest number of concurrent end users.
    """

    active_users: int | None
    peak_concurrent: int | None


@dataclass(frozen=True)
class Crossing:
    """A prediction of when a measure of use will exceed the upper limit of the current phase.

    ``measure``: name of the measure.
    ``now``: the measure's current value; None if not measured yet.
    ``limit``: the phase's upper limit.
    ``fit``: curve fitted to the measure's history; None if the history is too short.
    ``day``: predicted day; None if it is more than two years away or unknown.
    """

    measure: str
    now: int | None
    limit: int
    fit: Fit | None
    day: date | None

    def in_words(self) -> str:
        """Describe the prediction, for example ``voice users: 5,000 around 3 May 2027 (linear, …)``."""
        if self.fit is None:
            return f"{self.measure}: not enough history"
        when = (
            f"{self.limit:,} around {self.day.day} {self.day:%B %Y}"
            if self.day
            else f"{self.limit:,} not within two years"
        )
        return f"{self.measure}: {when} ({self.fit.in_words()})"


@dataclass(frozen=True)
class Outlook:
    """The current phase, and when use is expected to exceed its limits.

    ``use``: the measured use.
    ``phase``: the current phase.
    ``following``: the next phase; None if this is the last one.
    ``crossings``: predictions, one for each measure for which the phase has an upper limit.
    """

    use: MeasuredUse
    phase: Phase
    following: Phase | None
    crossings: tuple[Crossing, ...]

    @property
    def next_at(self) -> date | None:
        """The earliest predicted day on which a limit is exceeded, or None."""
        return min((crossing.day for crossing in self.crossings if crossing.day), default=None)


def measured_use(now: datetime) -> MeasuredUse:
    """Return the measured use of the 30 days up to ``now``."""
    today = timezone.localdate(now)
    first = today - timedelta(days=ACTIVE_DAYS - 1)
    most = figures.peak(first, today)
    return MeasuredUse(_active_now(first, today), most.together if most else None)


def _active_now(first: date, today: date) -> int | None:
    """Return the number of users active in the last 30 days, from the counts that the dashboard uses.

    These counts include today, but may be missing just after an update of the service. In that case, return the newest
    ``ActiveUsers`` count since ``first``, or None.
    """
    if active := sum(one.month for one in activity.active_by_client(today).values()):
        return active
    counted = ActiveUsers.objects.filter(day__range=(first, today)).first()
    return counted.users if counted else None


def expected_peak(users: int) -> int:
    """Return the peak of concurrent users to expect with ``users`` voice users.

    The peak is interpolated between the limits of the growth phase for this number of users. If there are no phases,
    return 0.
    """
    phase = phase_of(MeasuredUse(users, None))
    if phase is None:
        return 0
    low = phase.users_from
    high = phase.users_to or 2 * phase.users_from
    if users < low:  # below the first phase
        return math.ceil(phase.concurrent_from * users / low) if low else 0
    share = min(1.0, (users - low) / max(1, high - low))
    most = phase.concurrent_to or 2 * phase.concurrent_from
    return math.ceil(phase.concurrent_from + share * (most - phase.concurrent_from))


def phase_of(use: MeasuredUse) -> Phase | None:
    """Return the first phase whose limits are not exceeded, else the last phase; None if there are no phases."""
    phases = list(Phase.objects.all())
    large_enough = (phase for phase in phases if phase.holds(use.active_users or 0, use.peak_concurrent or 0))
    return next(large_enough, phases[-1] if phases else None)


def outlook(now: datetime) -> Outlook | None:
    """Return the current phase and the predictions for it, or None if there are no phases."""
    use = measured_use(now)
    phase = phase_of(use)
    if phase is None:
        return None
    following = Phase.objects.filter(number__gt=phase.number).first()
    crossings = [
        _crossing("voice users", use.active_users, phase.users_to, _active_history(now), now),
        _crossing("peak concurrent users", use.peak_concurrent, phase.concurrent_to, _peak_history(now), now),
    ]
    return Outlook(use, phase, following, tuple(crossing for crossing in crossings if crossing))


def _crossing(
    measure: str, value: int | None, limit: int | None, history: list[Point], now: datetime
) -> Crossing | None:
    if limit is None:
        return None
    curve = fit(history)
    ahead = curve.reaches(limit) if curve else None  # days of the history are counted from now
    day = None
    if ahead is not None and ahead <= FARTHEST_DAYS:
        day = timezone.localdate(now) + timedelta(days=max(0, round(ahead)))
    return Crossing(measure, value, limit, curve, day)


def _active_history(now: datetime) -> list[Point]:
    today = timezone.localdate(now)
    rows = ActiveUsers.objects.filter(day__gt=today - timedelta(days=HISTORY_DAYS), day__lte=today)
    return [((day - today).days, users) for day, users in rows.order_by("day").values_list("day", "users")]


def _peak_history(now: datetime) -> list[Point]:
    """Return each week's peak of concurrent users, because peaks of shorter periods vary with weekday and hour."""
    weeks: dict[int, int] = {}
    rows = HourlyPeak.objects.filter(hour__gt=now - timedelta(days=HISTORY_DAYS), hour__lte=now)
    for hour, users in rows.values_list("hour", "users"):
        week = (now - hour).days // WEEK
        weeks[week] = max(weeks.get(week, 0), users)
    return [(-WEEK * (week + 0.5), users) for week, users in sorted(weeks.items(), reverse=True)]


def count_active_users(today: date) -> int:
    """Store the number of active users for today, and for each past week without a count. Return the number of rows.

    Past weeks are counted from the ledger, so that growth is known at once after an update from an older release.
    """
    days = [today - timedelta(days=WEEK * weeks) for weeks in range(HISTORY_DAYS // WEEK)]
    first = LedgerEntry.objects.filter(status=200).order_by("created_at").values_list("created_at", flat=True).first()
    if first is None:
        return 0
    oldest = timezone.localdate(first)
    counted = 0
    for day in days:
        known = ActiveUsers.objects.filter(day__gt=day - timedelta(days=WEEK), day__lte=day).exists()
        if day == today or (day >= oldest and not known):
            ActiveUsers.objects.update_or_create(day=day, defaults={"users": _active_users(day)})
            counted += 1
    return counted


def _active_users(day: date) -> int:
    end = timezone.make_aware(datetime.combine(day + timedelta(days=1), datetime.min.time()))
    rows = LedgerEntry.objects.filter(status=200, created_at__gte=end - timedelta(days=ACTIVE_DAYS), created_at__lt=end)
    return rows.order_by().values("client_id", "user").distinct().count()
