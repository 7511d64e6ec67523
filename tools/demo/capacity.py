"""Write the samples, hourly peaks, uptime and alerts that the watcher would have recorded in the demo quarter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from capacity import notifications, watch
from capacity.models import Alert, Delivery, HourlyPeak, Metric, Outage, ProbeDay, Rule, Sample
from tools.demo.load import Minute
from tools.demo.narrative import GPU_FULL, OUTAGE, SLOW_LENGTH, Quarter
from tools.demo.rollout import OPERATOR
from usage.cost import month_cost_usd

BATCH = 5000
RECEIVER = "operators@example.com"
SLOW_NOW_S = 3.4  # p95 of the alert that is still firing; without it there would be no alert to acknowledge
SLOW_FOR = timedelta(minutes=4)  # how long the p95 has been that high


@dataclass(frozen=True)
class Incident:
    """An incident that raised an alert.

    ``severity``: the severity of the alert.
    ``metric``: the metric that exceeded its limit.
    ``fired_at``: when the alert fired.
    ``lasted``: the time from firing to resolution.
    ``worst``: the worst measured value, in the metric's unit.
    ``acknowledged``: the time from firing to acknowledgement; None if the alert was not acknowledged.
    """

    severity: Rule.Severity
    metric: Metric
    fired_at: datetime
    lasted: timedelta
    worst: float
    acknowledged: timedelta | None = None


def write_load(minutes: Iterable[Minute], quarter: Quarter) -> tuple[int, int]:
    """Write the peak of every hour, and the samples that are younger than ``watch.KEEP_SAMPLES``.

    Existing rows are not changed. Return the number of samples and the number of peaks.
    """
    keep_from = quarter.now - watch.KEEP_SAMPLES
    samples: list[Sample] = []
    peaks = []
    cost = None
    for hour, within in groupby(minutes, key=lambda minute: minute.at.replace(minute=0)):
        of_hour = list(within)
        peaks.append(
            HourlyPeak(
                hour=hour,
                users=max(minute.users for minute in of_hour),
                asr_users=max(minute.asr_users for minute in of_hour),
                tts_users=max(minute.tts_users for minute in of_hour),
            )
        )
        kept = [minute for minute in of_hour if minute.at > keep_from]
        if kept and (cost is None or hour.hour == 0):  # once a day
            cost = month_cost_usd(hour)
        samples += [_sample(minute, quarter, cost) for minute in kept]
    Sample.objects.bulk_create(samples, BATCH, ignore_conflicts=True)
    HourlyPeak.objects.bulk_create(peaks, BATCH, ignore_conflicts=True)
    return len(samples), len(peaks)


def _sample(minute: Minute, quarter: Quarter, cost: float | None) -> Sample:
    is_slow = minute.at >= quarter.now - SLOW_FOR
    return Sample(
        at=minute.at,
        users=minute.users,
        asr_users=minute.asr_users,
        tts_users=minute.tts_users,
        requests=minute.requests,
        asr_p95_s=minute.asr_p95_s,
        tts_p95_s=SLOW_NOW_S if is_slow else minute.tts_p95_s,
        error_percent=minute.error_percent,
        gpu_percent=minute.gpu_percent,
        month_cost_usd=cost,
    )


def write_uptime(quarter: Quarter) -> None:
    """Write each day's number of availability probes and of failed probes, and the outages."""
    per_probe = watch.PROBE_EVERY_S
    days = []
    for index in range(quarter.days):
        midnight = quarter.midnight(index)
        seconds = quarter.seconds_of(index)
        end = midnight + timedelta(seconds=seconds)
        down = sum(
            max(0.0, (min(until, end) - max(begin, midnight)).total_seconds()) for begin, until in quarter.outages
        )
        probes = int(seconds // per_probe)
        days.append(ProbeDay(day=quarter.date(index), probes=probes, failures=min(probes, int(down // per_probe))))
    ProbeDay.objects.bulk_create(days, ignore_conflicts=True)
    reason = "status 503: engine not ready"
    Outage.objects.bulk_create(
        Outage(began_at=begin, seen_at=until - timedelta(seconds=per_probe), ended_at=until, reason=reason)
        for begin, until in quarter.outages
    )


def incidents(quarter: Quarter) -> Iterator[Incident]:
    """Yield the incidents of the quarter, earliest first, without the alert that is still firing."""
    minute = timedelta(minutes=1)
    critical = Rule.Severity.CRITICAL
    warning = Rule.Severity.WARNING
    slow = quarter.slow_spell[0]
    yield Incident(warning, Metric.P95, slow + 2 * minute, SLOW_LENGTH, 6.2)
    yield Incident(critical, Metric.P95, slow + 8 * minute, SLOW_LENGTH - 12 * minute, 6.2, 4 * minute)
    down = quarter.moment(OUTAGE, 14.3)
    yield Incident(warning, Metric.ERRORS, down + minute, 38 * minute, 86.0)
    yield Incident(critical, Metric.ERRORS, down + minute, 37 * minute, 86.0, 6 * minute)
    for day, worst in ((0, 93.0), (1, 95.5)):
        full = quarter.moment(GPU_FULL + day / quarter.days, 20.6)
        yield Incident(critical, Metric.GPU, full, 74 * minute, worst, 11 * minute)
    yield Incident(warning, Metric.P95, quarter.moment(0.9, 12.9), 19 * minute, 3.3)


def stopping_words(quarter: Quarter) -> str:
    """Return the name and the worst value of the metric whose critical alert stopped the ramp, as text."""
    incident = next(one for one in incidents(quarter) if one.severity == Rule.Severity.CRITICAL)
    rule = _rule(incident)
    return rule.reading(incident.worst) if rule else incident.metric.label


def write_alerts(quarter: Quarter) -> int:
    """Write the alerts of the quarter with their notifications; return the number of alerts.

    One more alert is still firing at the end of the quarter, unless its rule has an open alert already. The
    notifications are recorded as sent to an address that does not exist.
    """
    written = 0
    for incident in incidents(quarter):
        rule = _rule(incident)
        ended = incident.fired_at + incident.lasted
        if rule is None or ended >= quarter.now:
            continue
        is_seen = incident.acknowledged is not None
        alert = Alert.of(
            rule,
            state=Alert.State.RESOLVED,
            since=incident.fired_at - rule.pending_for,
            fired_at=incident.fired_at,
            clear_since=ended - rule.clear_for,
            resolved_at=ended,
            evaluated_at=ended,
            value=round(0.8 * rule.clear_level, 1),
            worst=incident.worst,
            notified_at=ended,
            acknowledged_at=incident.fired_at + incident.acknowledged if incident.acknowledged else None,
            acknowledged_by=OPERATOR if is_seen else "",
        )
        alert.outcome = f"Back at {rule.reading(alert.value)}."
        alert.save()
        _add_notifications(alert, incident.worst, incident.fired_at, Alert.State.FIRING)
        _add_notifications(alert, alert.value, ended, Alert.State.RESOLVED)
        written += 1
    return written + _still_firing(quarter)


def _still_firing(quarter: Quarter) -> int:
    rule = Rule.objects.filter(severity=Rule.Severity.WARNING, metric=Metric.P95).first()
    if rule is None or rule.alerts.exclude(state=Alert.State.RESOLVED).exists():
        return 0
    fired = quarter.now - SLOW_FOR + rule.pending_for
    alert = Alert.of(
        rule,
        state=Alert.State.FIRING,
        since=quarter.now - SLOW_FOR,
        fired_at=fired,
        evaluated_at=quarter.now,
        value=SLOW_NOW_S,
        worst=SLOW_NOW_S,
    )
    alert.save()
    if notifications.receivers():  # without receivers, the pages say that nobody is notified
        Alert.objects.filter(pk=alert.pk).update(notified_at=fired)
        _add_notifications(alert, SLOW_NOW_S, fired, Alert.State.FIRING)
    return 1


def _rule(incident: Incident) -> Rule | None:
    return Rule.objects.filter(severity=incident.severity, metric=incident.metric).first()


def _add_notifications(alert: Alert, value: float | None, at: datetime, state: Alert.State) -> None:
    """Record a notification about an alert as sent at the time ``at``.

    Its text shows the state and the value that the alert had at that time.
    """
    then = Alert(
        severity=alert.severity,
        metric=alert.metric,
        threshold=alert.threshold,
        state=state,
        since=alert.since,
        fired_at=alert.fired_at,
        value=value,
        worst=alert.worst,
        resolved_at=alert.resolved_at,
        outcome=alert.outcome,
    )
    Delivery.objects.create(
        alert=alert,
        channel=Delivery.Channel.EMAIL,
        receiver=RECEIVER,
        subject=notifications.subject_of(then),
        text=notifications.text_of(then),
        state=Delivery.State.SENT,
        attempts=1,
        due_at=at,
        sent_at=at,
    )
