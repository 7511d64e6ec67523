"""Measure the service's uptime: the watcher probes every 15 s whether the service is ready.

The results are stored as counts by day, and as outages with their reasons. Time without probes counts neither as uptime
nor as downtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from capacity.models import Outage, ProbeDay

TIMEOUT_S = 5.0
UNWATCHED = timedelta(minutes=2)  # after a longer gap between two failed probes, a new outage begins


@dataclass(frozen=True)
class Uptime:
    """The number of probes in a period, and how many of them failed."""

    probes: int
    failures: int

    @property
    def percent(self) -> float | None:
        """The uptime in per cent, or None if there were no probes."""
        return 100 * (self.probes - self.failures) / self.probes if self.probes else None


def url() -> str:
    """Return the URL to probe: ``VOICE_PROBE_URL`` if set, else ``/readyz`` on this machine."""
    return settings.VOICE_PROBE_URL or f"http://127.0.0.1:{settings.PORT}/readyz"


def probe(address: str) -> str:
    """Request ``address``. Return why the service is not ready, in words, or "" if it is ready."""
    import httpx  # slow to import, so imported only where it is used

    try:
        response = httpx.get(address, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        return f"no answer: {type(error).__name__}"
    if response.status_code == 200:
        return ""
    return f"status {response.status_code}: {response.text[:200]}"


def record(now: datetime, failure: str) -> None:
    """Store the result of one probe. The first failure begins an outage, and the next success ends it.

    ``failure``: the reason of a failure; "" for a success.
    """
    day = timezone.localdate(now)
    with transaction.atomic():
        ProbeDay.objects.get_or_create(day=day)
        ProbeDay.objects.filter(day=day).update(probes=F("probes") + 1, failures=F("failures") + int(bool(failure)))
        outage = Outage.objects.filter(ended_at=None).first()
        if outage is not None and now - outage.seen_at > UNWATCHED:
            outage.ended_at = outage.seen_at  # the state after that is unknown
            outage.save(update_fields=["ended_at"])
            outage = None
        if failure and outage is None:
            Outage.objects.create(began_at=now, seen_at=now, reason=failure[:300])
        elif outage is not None:
            if failure:
                outage.seen_at = now
            else:
                outage.ended_at = now
            outage.save(update_fields=["seen_at", "ended_at"])


def uptime(month: date) -> Uptime:
    """Return the uptime of the calendar month that contains ``month``."""
    return _uptime(ProbeDay.objects.filter(day__year=month.year, day__month=month.month))


def uptime_of_days(first: date, last: date) -> Uptime:
    """Return the uptime from ``first`` to ``last`` inclusive."""
    return _uptime(ProbeDay.objects.filter(day__range=(first, last)))


def _uptime(days: QuerySet[ProbeDay]) -> Uptime:
    sums = days.order_by().aggregate(probes=Sum("probes", default=0), failures=Sum("failures", default=0))
    return Uptime(sums["probes"], sums["failures"])
