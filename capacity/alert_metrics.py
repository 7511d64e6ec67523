"""Measure the values that the alert rules compare with thresholds.

The values are the forecast of the month's cost, and users, GPU load, errors and response times in the last 5 minutes.

Response times and errors are read from the ledger, which records every request of every process exactly once.
Reading them takes a few indexed queries every 15 s, and does not slow down requests.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Avg, Count, Max, Q, QuerySet

from capacity.models import HourlyPeak, Metric, Rule, Sample
from capacity.presence import Presence
from core.percentiles import rank
from usage.cost import month_cost_usd
from usage.entry import Kind
from usage.models import LedgerEntry

logger = logging.getLogger(__name__)

WINDOW = timedelta(minutes=5)

ASR_KINDS = (Kind.TRANSCRIPTION.value, Kind.TRANSLATION.value)
TTS_KINDS = (Kind.SPEECH.value,)

# Statuses that are neither successes nor failures: refused by the roll-out (403), refused by a quota or a rate limit
# (429), client disconnected (499).
NOT_COUNTED = (403, 429, 499)
FAILED = Q(status__gte=500)


@dataclass(frozen=True)
class Responses:
    """Successful responses of speech to text or of text to speech.

    ``number``: how many there were.
    ``p95_s``: 95th percentile of their response times in seconds; None if there were none.
    """

    number: int = 0
    p95_s: float | None = None


@dataclass(frozen=True)
class Traffic:
    """The requests of the last 5 minutes, without those whose status is in ``NOT_COUNTED``."""

    requests: int = 0
    failures: int = 0
    asr: Responses = Responses()
    tts: Responses = Responses()

    @property
    def error_percent(self) -> float | None:
        return 100 * self.failures / self.requests if self.requests else None


@dataclass(frozen=True)
class Readings:
    """The measured values that alert rules compare with thresholds. None means no data.

    ``users``: peak of concurrent users in the last 5 minutes.
    ``gpu_percent``: mean utilisation of the busiest GPU in the last 5 minutes.
    ``month_cost_usd``: forecast of this month's total cost.
    ``traffic``: requests of the last 5 minutes.
    """

    users: float | None = None
    gpu_percent: float | None = None
    month_cost_usd: float | None = None
    traffic: Traffic = Traffic()

    def of(self, rule: Rule) -> float | None:
        """Return the value of the rule's metric.

        Return None if there is no data. Errors and response times also need at least ``Rule.least_requests`` requests.
        """
        match Metric(rule.metric):
            case Metric.USERS:
                return self.users
            case Metric.GPU:
                return self.gpu_percent
            case Metric.COST:
                return self.month_cost_usd
            case Metric.ERRORS:
                return self.traffic.error_percent if self.traffic.requests >= rule.least_requests else None
            case Metric.P95:  # of speech to text or text to speech, whichever is slower
                enough = (half for half in (self.traffic.asr, self.traffic.tts) if half.number >= rule.least_requests)
                return max((half.p95_s for half in enough if half.p95_s is not None), default=None)


def traffic(now: datetime) -> Traffic:
    """Summarise the requests of the 5 minutes before ``now``, from the ledger."""
    rows = LedgerEntry.objects.filter(created_at__gt=now - WINDOW, created_at__lte=now, counters=None)
    rows = rows.exclude(status__in=NOT_COUNTED)
    counts = rows.order_by().aggregate(requests=Count("id"), failures=Count("id", filter=FAILED))
    succeeded = rows.filter(status=200, is_live=False)  # the duration of a live stream is not a response time
    return Traffic(
        counts["requests"],
        counts["failures"],
        _responses(succeeded.filter(kind__in=ASR_KINDS)),
        _responses(succeeded.filter(kind__in=TTS_KINDS)),
    )


def _responses(rows: QuerySet[LedgerEntry]) -> Responses:
    number = rows.count()
    if not number:
        return Responses()
    # The percentile is by nearest rank, because every database can compute that.
    at = rank(number, 95)
    return Responses(number, rows.order_by("total_ms").values_list("total_ms", flat=True)[at] / 1000)


def take_sample(now: datetime, presence: Presence | None) -> Readings:
    """Store the measured values as a sample, and return the values for the alert rules.

    ``presence``: the end users at the busiest instant since the last sample; None if unknown.
    """
    seen = traffic(now)
    month_cost = month_cost_usd(now)
    sample = Sample(
        at=now,
        requests=seen.requests,
        asr_p95_s=seen.asr.p95_s,
        tts_p95_s=seen.tts.p95_s,
        error_percent=seen.error_percent,
        month_cost_usd=month_cost,
    )
    if presence is not None:
        sample.users = len(presence.together)
        sample.gpu_percent = presence.gpu_percent
        sample.gpu_memory_percent = presence.gpu_memory_percent
        sample.asr_users = len(presence.asr)
        sample.tts_users = len(presence.tts)
    sample.save()
    _note_peak(sample)
    recent = Sample.objects.filter(at__gt=now - WINDOW, at__lte=now).order_by()
    window = recent.aggregate(users=Max("users"), gpu_percent=Avg("gpu_percent"))
    return Readings(window["users"], window["gpu_percent"], month_cost, seen)


def _note_peak(sample: Sample) -> None:
    if sample.users is None:
        return
    fields = ("users", "asr_users", "tts_users")
    values = {name: getattr(sample, name) for name in fields}
    hour = sample.at.replace(minute=0, second=0, microsecond=0)
    peak, is_new = HourlyPeak.objects.get_or_create(hour=hour, defaults=values)
    higher = [name for name in fields if values[name] > getattr(peak, name)]
    if not is_new and higher:
        for name in higher:
            setattr(peak, name, values[name])
        peak.save(update_fields=higher)
