"""The tables of alert rules, alerts and notifications.

Migrations 0002 and 0004 create the default rules, such as a critical alert above a p95 of 5 s. Operators can change
them in the admin. ``k8s/monitoring/rules.yaml`` repeats the defaults for Prometheus.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q

from capacity import deployment
from capacity.phases import Phase
from core.audit import Audited, record

NOT_NEGATIVE = [MinValueValidator(0)]


class Metric(models.TextChoices):
    USERS = "users", "Concurrent users"
    P95 = "p95_s", "p95 response, seconds"
    ERRORS = "error_percent", "Error rate, %"
    GPU = "gpu_percent", "GPU utilisation, %"
    COST = "month_cost_usd", "Monthly cost, USD"


_IN_WORDS = {
    Metric.USERS: ("concurrent users", ""),
    Metric.P95: ("p95 response", " s"),
    Metric.ERRORS: ("error rate", " %"),
    Metric.GPU: ("GPU utilisation", " %"),
    Metric.COST: ("monthly cost", " USD"),
}


class Rule(Audited):
    """A condition for an alert: a metric (measured by ``capacity.alert_metrics``) is above a threshold."""

    recorded = (
        "severity",
        "metric",
        "threshold",
        "phase_percent",
        "pending_for",
        "margin_percent",
        "clear_for",
        "least_requests",
        "is_enabled",
        "silenced_until",
        "silenced_why",
    )

    class Severity(models.TextChoices):
        CRITICAL = "critical", "Critical"
        WARNING = "warning", "Warning"

    severity = models.CharField(max_length=8, choices=Severity)
    metric = models.CharField(max_length=20, choices=Metric)
    threshold = models.FloatField(validators=NOT_NEGATIVE, help_text="Values above this cause an alert.")
    phase_percent = models.FloatField(
        "of the phase, %",
        null=True,
        blank=True,
        validators=NOT_NEGATIVE,
        help_text="For users and cost: percentage of the upper limit of the phase in VOICE_PHASE. It replaces the "
        "threshold if it is higher. If empty, the threshold applies in every phase.",
    )
    pending_for = models.DurationField(
        default=timedelta(seconds=30),
        validators=[MinValueValidator(timedelta(0))],
        help_text="Time that the value must be above the threshold before the alert fires.",
    )
    margin_percent = models.FloatField(
        default=10,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="An alert is resolved only this many percent below the threshold, so that it does not flap.",
    )
    clear_for = models.DurationField(
        default=timedelta(minutes=2),
        validators=[MinValueValidator(timedelta(0))],
        help_text="Time that the value must be below the threshold, by the margin, before the alert is resolved.",
    )
    least_requests = models.PositiveIntegerField(
        default=20, help_text="For response times and error rates: with fewer requests the rule has no data."
    )
    is_enabled = models.BooleanField("enabled", default=True)
    silenced_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="No notifications are sent until then. Alerts still fire and roll ramps back.",
    )
    silenced_by = models.CharField(max_length=150, blank=True, editable=False)
    silenced_why = models.CharField(max_length=1000, blank=True, editable=False)

    class Meta:
        ordering = ["severity", "id"]

    def __str__(self) -> str:
        return f"{self.severity}: {self.condition()}"

    def condition(self) -> str:
        return _condition(self.metric, self.level)

    def reading(self, value: float | None) -> str:
        """Compare a value with the threshold in words, for example ``concurrent users 93 > 80``."""
        return _reading(self.metric, self.level, value)

    @property
    def level(self) -> float:
        """The threshold in the deployed growth phase.

        If ``phase_percent`` is set, the threshold is at least that percentage of the phase's upper limit, so that
        normal use in a large phase causes no alert.
        """
        if not deployment.phase() or self.phase_percent is None:
            return self.threshold
        phase = Phase.objects.filter(number=deployment.phase()).first()
        if phase is None:
            return self.threshold
        most = {Metric.USERS: phase.concurrent_to, Metric.COST: phase.cost_to_usd}.get(Metric(self.metric)) or 0
        return max(self.threshold, self.phase_percent / 100 * most)

    @property
    def clear_level(self) -> float:
        """The value at or below which a firing alert can be resolved: ``margin_percent`` below the threshold."""
        return self.level * (1 - self.margin_percent / 100)

    def is_silenced(self, now: datetime) -> bool:
        return self.silenced_until is not None and now < self.silenced_until

    def silence(self, until: datetime | None, *, by: str = "", why: str = "") -> None:
        """Suppress the notifications of this rule until a given time. None ends the silence.

        ``by``: user name.
        ``why``: reason, shown in the admin.
        """
        self.silenced_until = until
        self.silenced_by = by
        self.silenced_why = why
        self.save(update_fields=["silenced_until", "silenced_by", "silenced_why"])


def _condition(metric: str, level: float) -> str:
    name, unit = _named(metric)
    return f"{name} > {_number(level)}{unit}"


def _reading(metric: str, level: float, value: float | None) -> str:
    name, unit = _named(metric)
    if value is None:
        return f"{name}: no data"
    sign = ">" if value > level else "≤"
    return f"{name} {_number(value)}{unit} {sign} {_number(level)}{unit}"


def _named(metric: str) -> tuple[str, str]:
    return _IN_WORDS[Metric(metric)] if metric else ("unknown metric", "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


_RUNBOOK_NAMES = {
    Metric.USERS: "Users",
    Metric.P95: "Response",
    Metric.ERRORS: "Errors",
    Metric.GPU: "Gpu",
    Metric.COST: "Cost",
}


class Alert(models.Model):
    """One period in which the condition of a rule held, from pending to resolved. An alert that never fires is deleted.

    An alert keeps its own copy of the rule's severity, metric and threshold, so that a later change of the rule does
    not change alerts that have fired.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"

    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="alerts")
    # Empty only if a process of release 0.2 wrote the row.
    severity = models.CharField(
        max_length=8, choices=Rule.Severity, db_default="", help_text="That of the rule when the alert fired."
    )
    metric = models.CharField(
        max_length=20, choices=Metric, db_default="", help_text="That of the rule when the alert fired."
    )
    threshold = models.FloatField(db_default=0, help_text="That of the rule when the alert fired, in the phase then.")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    since = models.DateTimeField(help_text="When the condition began to hold.")
    fired_at = models.DateTimeField(null=True)
    clear_since = models.DateTimeField(
        null=True, help_text="Since when the value has been below the threshold while the alert fires."
    )
    resolved_at = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField()
    value = models.FloatField(null=True, help_text="The value at the last evaluation.")
    worst = models.FloatField(help_text="The highest value.")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    notified_at = models.DateTimeField(null=True, help_text="When the last notification was queued.")
    outcome = models.CharField(max_length=200, blank=True, help_text="Why it was resolved.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule"], condition=Q(state__in=["pending", "firing"]), name="one_open_alert_of_a_rule"
            )
        ]
        indexes = [models.Index(fields=["state"], name="alert_state")]

    def __str__(self) -> str:
        return f"{self.severity}: {self.in_words()}"

    @classmethod
    def of(cls, rule: Rule, **values: Any) -> Alert:
        """Return an unsaved alert with the rule's current settings."""
        alert = cls(rule=rule, **values)
        alert.follow(rule)
        return alert

    def follow(self, rule: Rule) -> None:
        """Copy the rule's current settings. Do not call this after the alert has fired."""
        self.severity = rule.severity
        self.metric = rule.metric
        self.threshold = rule.level

    def condition(self) -> str:
        """Return the condition by which the alert fired, for example ``critical: concurrent users > 80``."""
        return f"{self.severity}: {_condition(self.metric, self.threshold)}"

    def in_words(self) -> str:
        return self.reading(self.value)

    def reading(self, value: float | None) -> str:
        return _reading(self.metric, self.threshold, value)

    @property
    def runbook(self) -> str:
        """The address of the section about this alert in docs/operations.md.

        It begins with ``VOICE_RUNBOOK_URL`` if that is set, else with the path of the file.
        """
        name = _RUNBOOK_NAMES[Metric(self.metric)] if self.metric else ""
        anchor = f"voice{name}{self.severity}".lower()
        return f"{settings.VOICE_RUNBOOK_URL or 'docs/operations.md'}#{anchor}"

    def notified(self) -> str:
        """Describe who was notified of the alert."""
        deliveries = list(self.deliveries.all())
        if not deliveries:
            return "nobody was notified"
        sent = {one.receiver for one in deliveries if one.state == Delivery.State.SENT}
        if sent:
            return f"notified {', '.join(sorted(sent))}"
        waits = any(one.state == Delivery.State.WAITING for one in deliveries)
        return "being sent" if waits else "nobody was notified: every attempt failed"

    def acknowledge(self, by: str, now: datetime) -> bool:
        """Record that an operator takes care of the alert. Reminders then stop.

        Return False if the alert was acknowledged or resolved already.
        """
        rows = type(self).objects.filter(pk=self.pk, acknowledged_at=None).exclude(state=self.State.RESOLVED)
        with transaction.atomic():
            is_new = bool(rows.update(acknowledged_at=now, acknowledged_by=by))
            if is_new:
                record(f"alert {self.condition()}", {"acknowledged": False}, {"acknowledged": True})
        return is_new


class Delivery(models.Model):
    """One notification of an alert, or a test, to one receiver. ``capacity.notifications`` delivers it."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"

    alert = models.ForeignKey(
        Alert,
        null=True,
        on_delete=models.CASCADE,
        related_name="deliveries",
        help_text="Empty for a test notification.",
    )
    channel = models.CharField(max_length=7, choices=Channel)
    receiver = models.CharField(max_length=300, help_text="For a webhook only its host, because the URL is secret.")
    subject = models.CharField(max_length=200)
    text = models.TextField()
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "due_at"], name="delivery_due")]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.subject} → {self.receiver}"
