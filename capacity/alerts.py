"""Evaluate the alert rules. An alert is pending, then firing, then resolved.

    above the threshold          for ``pending_for``         at or below the clear level, or no data, for ``clear_for``
    ──────────────────► pending ──────────────────► firing ──────────────────► resolved
                           │ no longer above
                           ▼
                        deleted

- Between the clear level and the threshold, a firing alert keeps firing (hysteresis).
- If the rule is disabled or its metric is changed, a pending alert is deleted and a firing one is resolved.
- The state is in the database, so a new leading watcher (``capacity.watch``) continues where the last one stopped.
- After ``UNWATCHED`` without an evaluation, the times ``pending_for`` and ``clear_for`` start again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from capacity import notifications
from capacity.alert_metrics import Readings
from capacity.models import Alert, Rule

UNWATCHED = timedelta(minutes=2)  # after a longer gap between two evaluations, the waiting times start again
REMIND_EVERY = timedelta(hours=1)  # until a critical alert is acknowledged

State = Alert.State


def evaluate(now: datetime, readings: Readings) -> list[Alert]:
    """Evaluate every rule, update its alert and queue notifications. Return the alerts that fired or were resolved."""
    rules = list(Rule.objects.all())
    open_alerts = {alert.rule_id: alert for alert in Alert.objects.exclude(state=State.RESOLVED)}
    moved = []
    for rule in rules:
        alert = open_alerts.get(rule.pk)
        if alert is not None:
            alert.rule = rule
        with transaction.atomic():
            changed = _evaluate(rule, alert, readings.of(rule), now)
        if changed is not None:
            moved.append(changed)
    return moved


def firing() -> list[Alert]:
    """Return the firing alerts: critical before warning, and the oldest first."""
    rows = Alert.objects.filter(state=State.FIRING).prefetch_related("deliveries")
    return list(rows.order_by("severity", "fired_at"))


def critical_in_words(alerts: Iterable[Alert]) -> list[str]:
    """Return the summaries of the critical alerts among ``alerts``, such as ``concurrent users 93 > 80``."""
    return [alert.in_words() for alert in alerts if alert.severity == Rule.Severity.CRITICAL]


def _evaluate(rule: Rule, alert: Alert | None, value: float | None, now: datetime) -> Alert | None:
    if not rule.is_enabled:
        return _close(alert, now, "The rule was disabled.") if alert else None
    if alert is not None and alert.metric != rule.metric:
        if alert.metric:  # values of the new metric must not count for the old one
            return _close(alert, now, "The rule's metric was changed.")
        alert.follow(rule)  # a process of release 0.2 wrote this row
    is_above = value is not None and value > rule.level
    if alert is None:
        if not is_above or value is None:
            return None
        alert = Alert.of(rule, since=now, value=value, worst=value)
    elif now - alert.evaluated_at > UNWATCHED:
        alert.since = now if alert.state == State.PENDING else alert.since
        alert.clear_since = None
    alert.evaluated_at = now
    if value is not None:
        alert.value = value
        alert.worst = max(alert.worst, value)
    if alert.state == State.PENDING:
        return _evaluate_pending(alert, now, is_above=is_above)
    return _evaluate_firing(alert, value, now)


def _evaluate_pending(alert: Alert, now: datetime, *, is_above: bool) -> Alert | None:
    if not is_above:
        if alert.pk is not None:
            alert.delete()
        return None
    alert.follow(alert.rule)
    if now - alert.since >= alert.rule.pending_for:
        alert.state = State.FIRING
        alert.fired_at = now
        alert.save()
        _tell(alert, now)
        return alert
    alert.save()
    return None


def _evaluate_firing(alert: Alert, value: float | None, now: datetime) -> Alert | None:
    rule = alert.rule
    if value is not None and value > rule.clear_level:
        alert.clear_since = None
    else:
        alert.clear_since = alert.clear_since or now
        if now - alert.clear_since >= rule.clear_for:
            return _close(alert, now, "There is no more data." if value is None else f"Back at {rule.reading(value)}.")
    alert.save()
    _tell_late_or_again(alert, now)
    return None


def _close(alert: Alert, now: datetime, outcome: str) -> Alert | None:
    if alert.state == State.PENDING:
        alert.delete()
        return None
    alert.state = State.RESOLVED
    alert.resolved_at = now
    alert.outcome = outcome
    alert.evaluated_at = now
    alert.save()
    _tell(alert, now)
    return alert


def _tell(alert: Alert, now: datetime) -> None:
    # Tell receivers that an alert has ended only if they were told that it fired.
    is_known = alert.state == State.FIRING or alert.notified_at is not None
    # Without a receiver, ``notified_at`` stays empty, so the notification is sent once a receiver is configured.
    if is_known and not alert.rule.is_silenced(now) and notifications.put(alert, now):
        alert.notified_at = now
        alert.save(update_fields=["notified_at"])


def _tell_late_or_again(alert: Alert, now: datetime) -> None:
    """Send the first notification of a firing alert if it is still due, or a reminder.

    The first notification is still due if the rule was silenced or no receiver was configured when the alert fired.
    Reminders are sent only for critical alerts. Nothing is sent for an acknowledged alert.
    """
    if alert.acknowledged_at is not None:
        return
    is_critical = alert.severity == Rule.Severity.CRITICAL
    if alert.notified_at is None or (is_critical and now - alert.notified_at >= REMIND_EVERY):
        _tell(alert, now)
