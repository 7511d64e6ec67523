"""Admin pages for alerts, which can be acknowledged, and for alert rules, which can be edited and silenced.

The app's other admin pages are in ``capacity.history_admin`` and ``capacity.loadtest_admin``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from capacity import history_admin, loadtest_admin
from capacity.history_admin import DELIVERY_COLOURS
from capacity.models import Alert, Delivery, Rule
from core.admin_base import AuditedAdmin, ReadOnly, exists, found, page_of
from core.confirmation import Question, ask
from core.quantities import NONE, ShortFloatField, SpanField, span

__all__ = ["history_admin", "loadtest_admin"]

SECOND = timedelta(seconds=1)
SEVERITY_COLOURS = {"Critical": "danger", "Warning": "warning"}
STATE_COLOURS = {"Firing": "danger", "Pending": "warning", "Resolved": "success"}
SILENCES = [(1, "1 hour"), (4, "4 hours"), (24, "A day"), (168, "A week")]


def _moment(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "j M, H:i")


class SilenceForm(forms.Form):
    hours = forms.TypedChoiceField(label="For", choices=SILENCES, coerce=int, widget=UnfoldAdminSelectWidget)
    why = forms.CharField(label="Why", max_length=1000, widget=UnfoldAdminTextareaWidget({"rows": 2}))


def ask_to_silence(request: HttpRequest, model_admin: ModelAdmin, rule: Rule, back: str) -> HttpResponse:
    """Show the form for silencing a rule. If the request submits the form, silence the rule and redirect.

    ``back``: URL to redirect to.
    """

    def do(filled_in: dict[str, Any]) -> str:
        until = timezone.now() + timedelta(hours=filled_in["hours"])
        rule.silence(until, by=request.user.get_username(), why=filled_in["why"])
        words = f"Silenced until {_moment(until)}: {filled_in['why']}"
        model_admin.log_change(request, rule, words)
        return words

    consequence = "No notifications of this rule are sent during that time. Its alerts are still shown and stop ramps."
    question = Question(f"Silence {rule}", consequence, back, do, button="Silence", form=SilenceForm)
    return ask(request, model_admin, question)


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    threshold = ShortFloatField(help_text="Values above this cause an alert.")
    margin_percent = ShortFloatField(
        label="Margin, %", help_text="An alert is resolved only this far below the threshold, so that it does not flap."
    )
    pending_for = SpanField(
        unit=SECOND,
        label="Pending for, seconds",
        help_text="Time that the value must be above the threshold before the alert fires.",
    )
    clear_for = SpanField(
        unit=SECOND,
        label="Clear for, seconds",
        help_text="Time that the value must be below the threshold, by the margin, before the alert is resolved.",
    )

    class Meta:
        model = Rule
        fields = [
            "severity",
            "metric",
            "threshold",
            "phase_percent",
            "is_enabled",
            "pending_for",
            "margin_percent",
            "clear_for",
            "least_requests",
        ]


@admin.register(Rule)
class RuleAdmin(AuditedAdmin):
    form = RuleForm
    list_display = ["condition", "shown_severity", "is_enabled", "shown_pending", "shown_clear", "silence"]
    list_filter = ["severity", "metric", "is_enabled"]
    search_fields = ["metric", "severity"]
    readonly_fields = ["silence", "condition", "shown_severity", "shown_pending", "shown_margin", "shown_clear"]
    fieldsets = [
        (None, {"fields": ["severity", "metric", "threshold", "phase_percent", "is_enabled"]}),
        ("How long", {"fields": ["pending_for", "margin_percent", "clear_for", "least_requests"]}),
        ("Silence", {"fields": ["silence"]}),
    ]
    seen = [
        "condition",
        "shown_severity",
        "is_enabled",
        "shown_pending",
        "shown_margin",
        "shown_clear",
        "least_requests",
        "silence",
    ]
    actions_detail = ["silence_rule", "end_silence"]

    @display(description="Severity", ordering="severity", label=SEVERITY_COLOURS)
    def shown_severity(self, rule: Rule) -> str:
        return rule.get_severity_display()

    def get_fieldsets(self, request: HttpRequest, obj: Rule | None = None) -> Any:
        """Return the form's fieldsets if the user may change the rule, else read-only fields with formatted values."""
        return self.fieldsets if self.has_change_permission(request, obj) else [(None, {"fields": self.seen})]

    @display(description="Alert when")
    def condition(self, rule: Rule) -> str:
        return rule.condition()

    @display(description="Margin below the threshold")
    def shown_margin(self, rule: Rule) -> str:
        return f"{rule.margin_percent:g} %"

    @display(description="Fires after", ordering="pending_for")
    def shown_pending(self, rule: Rule) -> str:
        return span(rule.pending_for)

    @display(description="Resolved after", ordering="clear_for")
    def shown_clear(self, rule: Rule) -> str:
        return span(rule.clear_for)

    @display(description="Silenced")
    def silence(self, rule: Rule) -> str:
        if not rule.is_silenced(timezone.now()) or rule.silenced_until is None:
            return NONE
        return f"until {_moment(rule.silenced_until)} by {rule.silenced_by}: {rule.silenced_why}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # past alerts refer to the rule, which can be disabled instead

    def _is_silenced(self, object_id: Any) -> bool:
        return exists(Rule.objects.filter(silenced_until__gt=timezone.now()), object_id)

    def has_silence_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and not self._is_silenced(object_id)

    def has_end_silence_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and self._is_silenced(object_id)

    @action(description="Silence", url_path="silence", permissions=["silence"], icon="notifications_off")
    def silence_rule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule = found(Rule, object_id)
        return ask_to_silence(request, self, rule, page_of(rule))

    @action(description="End the silence", url_path="speak", permissions=["end_silence"], icon="notifications_active")
    def end_silence(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule = found(Rule, object_id)

        def do(_nothing: dict[str, Any]) -> str:
            rule.silence(None)
            self.log_change(request, rule, "Ended the silence.")
            return f"{rule} notifies again.".capitalize()

        consequence = "Notifications of this rule are sent again, also for an alert that is firing already."
        return ask(
            request,
            self,
            Question(f"End the silence of {rule}", consequence, page_of(rule), do, button="End it", is_harmful=False),
        )


class DeliveryInline(ReadOnly, TabularInline):
    model = Delivery
    extra = 0
    hide_title = True
    verbose_name_plural = "notifications"
    fields = readonly_fields = ["channel", "receiver", "subject", "shown_state", "attempts", "sent_at", "error"]

    @display(description="State", label=DELIVERY_COLOURS)
    def shown_state(self, delivery: Delivery) -> str:
        return delivery.get_state_display()


@admin.register(Alert)
class AlertAdmin(ReadOnly, ModelAdmin):
    empty_text = "There have been no alerts. They appear here when they are pending, firing or resolved."
    list_display = ["shown", "shown_severity", "shown_state", "since", "lasted", "acknowledged"]
    list_filter = ["state", "severity", "metric"]
    search_fields = ["metric", "acknowledged_by", "outcome"]
    date_hierarchy = "since"
    ordering = ["-since", "-id"]
    fields = readonly_fields = [
        "fired_by",
        "rule",
        "shown_state",
        "last_value",
        "worst_value",
        "since",
        "fired_at",
        "resolved_at",
        "lasted",
        "outcome",
        "acknowledged",
        "who_was_notified",
        "notified_at",
        "runbook",
    ]
    inlines = [DeliveryInline]
    actions: ClassVar[list[str]] = ["acknowledge_selected"]
    actions_detail = ["acknowledge", "silence"]
    actions_row = ["acknowledge", "silence"]

    @display(description="Alert")
    def shown(self, alert: Alert) -> str:
        is_over = alert.state == Alert.State.RESOLVED
        words = alert.reading(alert.worst if is_over else alert.value)
        return words[:1].upper() + words[1:]

    @display(description="Fired by")
    def fired_by(self, alert: Alert) -> str:
        words = alert.condition()
        return words[:1].upper() + words[1:]

    @display(description="At the last evaluation")
    def last_value(self, alert: Alert) -> str:
        return alert.reading(alert.value)

    @display(description="Worst")
    def worst_value(self, alert: Alert) -> str:
        return alert.reading(alert.worst)

    @display(description="Lasted")
    def lasted(self, alert: Alert) -> str:
        if alert.resolved_at is None:
            return f"{span(timezone.now() - alert.since)} so far"
        return span(alert.resolved_at - alert.since)

    @display(description="Severity", ordering="severity", label=SEVERITY_COLOURS)
    def shown_severity(self, alert: Alert) -> str:
        return alert.get_severity_display()

    @display(description="State", ordering="state", label=STATE_COLOURS)
    def shown_state(self, alert: Alert) -> str:
        return alert.get_state_display()

    @display(description="Notified")
    def who_was_notified(self, alert: Alert) -> str:
        return alert.notified()

    @display(description="What to do")
    def runbook(self, alert: Alert) -> str:
        address = alert.runbook
        return format_html('<a class="text-link" href="{}">{}</a>', address, address) if "://" in address else address

    @display(description="Acknowledged")
    def acknowledged(self, alert: Alert) -> str:
        if alert.acknowledged_at is None:
            return NONE if alert.state == Alert.State.RESOLVED else "not yet"
        return f"{alert.acknowledged_by}, {_moment(alert.acknowledged_at)}"

    def _may_operate(self, request: HttpRequest) -> bool:
        """Return True if the user may acknowledge alerts.

        ``has_change_permission`` is False for every user, because alerts cannot be edited.
        """
        return request.user.has_perm("capacity.change_alert")

    def has_acknowledge_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not self._may_operate(request):
            return False
        rows = Alert.objects.filter(acknowledged_at=None).exclude(state=Alert.State.RESOLVED)
        return object_id is None or exists(rows, object_id)

    def has_silence_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("capacity.change_rule")

    def _acknowledge(self, request: HttpRequest, alert: Alert) -> bool:
        is_new = alert.acknowledge(request.user.get_username(), timezone.now())
        if is_new:
            self.log_change(request, alert, "Acknowledged.")
        return is_new

    @action(description="Acknowledge", url_path="acknowledge", permissions=["acknowledge"], icon="done")
    def acknowledge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alert = found(Alert.objects.select_related("rule"), object_id)

        def do(_nothing: dict[str, Any]) -> str:
            is_new = self._acknowledge(request, alert)
            return f"{self.shown(alert)}: {'acknowledged' if is_new else 'was acknowledged or resolved already'}."

        consequence = (
            "This tells others that you take care of the alert. Reminders stop; the alert fires until it is resolved."
        )
        # The button on the admin's first page sends a POST, so the action is carried out without asking again.
        back = reverse("admin:index") if "home" in request.GET else page_of(alert)
        return ask(
            request,
            self,
            Question(f"Acknowledge {alert}", consequence, back, do, button="Acknowledge", is_harmful=False),
        )

    @action(description="Silence", url_path="silence", permissions=["silence"], icon="notifications_off")
    def silence(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alert = found(Alert.objects.select_related("rule"), object_id)
        return ask_to_silence(request, self, alert.rule, page_of(alert))

    @admin.action(description="Acknowledge selected alerts", permissions=["acknowledge"])
    def acknowledge_selected(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        number = sum(self._acknowledge(request, alert) for alert in queryset)
        self.message_user(request, f"Acknowledged {number}.", messages.SUCCESS)
