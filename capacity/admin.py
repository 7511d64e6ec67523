"""The capacity's pages: alerts to acknowledge and silence, rules and phases to edit, the rest to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from capacity.models import ActiveUsers, Alert, Delivery, HourlyPeak, Outage, Phase, ProbeDay, Rule, Sample

SEVERITY_COLOURS = {"Critical": "danger", "Warning": "warning"}
STATE_COLOURS = {"Firing": "danger", "Pending": "warning", "Resolved": "success"}
SILENCES = [(1, "1 hour"), (4, "4 hours"), (24, "A day"), (168, "A week")]


class ReadOnly:
    """Measured or recorded: nothing that a hand should change."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def page_of(row: Model) -> str:
    return reverse(f"admin:capacity_{row._meta.model_name}_change", args=[row.pk])


class SilenceForm(forms.Form):
    hours = forms.TypedChoiceField(label="For", choices=SILENCES, coerce=int, widget=UnfoldAdminSelectWidget)
    why = forms.CharField(label="Why", max_length=1000, widget=UnfoldAdminTextareaWidget({"rows": 2}))


class NothingToFillIn(forms.Form):
    pass


@dataclass(frozen=True)
class Question:
    """``do`` gets the filled in form; what it returns is shown when the page has gone ``back``."""

    title: str
    consequence: str
    button: str
    back: str
    do: Callable[[dict[str, Any]], str]
    form: type[forms.Form] = NothingToFillIn
    is_harmful: bool = False


def ask(request: HttpRequest, model_admin: ModelAdmin, question: Question) -> HttpResponse:
    """Show the page that asks; do it once it is confirmed. (Links to actions are GETs, which must change nothing.)"""
    form = question.form(request.POST if request.method == "POST" else None)
    if form.is_valid():
        model_admin.message_user(request, question.do(form.cleaned_data), messages.SUCCESS)
        return HttpResponseRedirect(question.back)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question.title,
        "opts": model_admin.opts,
        "consequence": question.consequence,
        "button": question.button,
        "back": question.back,
        "form": form,
        "variant": "danger" if question.is_harmful else "primary",
    }
    return TemplateResponse(request, "admin/capacity/ask.html", context)


def ask_to_silence(request: HttpRequest, model_admin: ModelAdmin, rule: Rule, back: str) -> HttpResponse:
    def do(filled_in: dict[str, Any]) -> str:
        until = timezone.now() + timedelta(hours=filled_in["hours"])
        rule.silence(until, by=request.user.get_username(), why=filled_in["why"])
        words = f"Silenced until {timezone.localtime(until):%d %B %H:%M}: {filled_in['why']}"
        model_admin.log_change(request, rule, words)
        return words

    consequence = "Nobody is notified of this rule meanwhile. Its alerts are shown and stop ramps all the same."
    question = Question(f"Silence {rule}", consequence, "Silence", back, do, SilenceForm, is_harmful=True)
    return ask(request, model_admin, question)


@admin.register(Rule)
class RuleAdmin(ModelAdmin):
    list_display = ["condition", "shown_severity", "is_enabled", "pending_for", "clear_for", "silence"]
    list_filter = ["severity", "metric", "is_enabled"]
    search_fields = ["metric", "severity"]
    readonly_fields = ["silence"]
    fieldsets = [
        (None, {"fields": ["severity", "metric", "threshold", "is_enabled"]}),
        ("How long", {"fields": ["pending_for", "margin_percent", "clear_for", "least_requests"]}),
        ("Silence", {"fields": ["silence"]}),
    ]
    actions_detail = ["silence_rule", "end_silence"]

    @display(description="Severity", ordering="severity", label=SEVERITY_COLOURS)
    def shown_severity(self, rule: Rule) -> str:
        return rule.get_severity_display()

    @display(description="Silenced")
    def silence(self, rule: Rule) -> str:
        if not rule.is_silenced(timezone.now()) or rule.silenced_until is None:
            return "–"
        until = timezone.localtime(rule.silenced_until)
        return f"until {until:%d %B %H:%M} by {rule.silenced_by}: {rule.silenced_why}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # switched off it does no harm, and its alerts keep their rule

    def _is_silenced(self, object_id: Any) -> bool:
        return Rule.objects.filter(pk=object_id, silenced_until__gt=timezone.now()).exists()

    def has_silence_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and not self._is_silenced(object_id)

    def has_speak_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and self._is_silenced(object_id)

    @action(description="Silence", url_path="silence", permissions=["silence"], icon="notifications_off")
    def silence_rule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule = Rule.objects.get(pk=object_id)
        return ask_to_silence(request, self, rule, page_of(rule))

    @action(description="End the silence", url_path="speak", permissions=["speak"], icon="notifications_active")
    def end_silence(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule = Rule.objects.get(pk=object_id)

        def do(_nothing: dict[str, Any]) -> str:
            rule.silence(None)
            self.log_change(request, rule, "Ended the silence.")
            return f"{rule} notifies again.".capitalize()

        consequence = "From now on people are notified of this rule again, also of an alert that fires already."
        return ask(request, self, Question(f"End the silence of {rule}", consequence, "End it", page_of(rule), do))


class DeliveryInline(ReadOnly, TabularInline):
    model = Delivery
    extra = 0
    fields = readonly_fields = ["channel", "receiver", "subject", "state", "attempts", "due_at", "sent_at", "error"]


@admin.register(Alert)
class AlertAdmin(ReadOnly, ModelAdmin):
    list_display = ["shown", "shown_severity", "shown_state", "since", "fired_at", "resolved_at", "acknowledged"]
    list_filter = ["state", "rule__severity", "rule__metric"]
    list_select_related = ["rule"]
    search_fields = ["rule__metric", "acknowledged_by", "outcome"]
    date_hierarchy = "since"
    inlines = [DeliveryInline]
    actions: ClassVar[list[str]] = ["acknowledge_selected"]
    actions_detail = ["acknowledge", "silence"]
    actions_row = ["acknowledge", "silence"]

    @display(description="Alert")
    def shown(self, alert: Alert) -> str:
        return alert.in_words()

    @display(description="Severity", ordering="rule__severity", label=SEVERITY_COLOURS)
    def shown_severity(self, alert: Alert) -> str:
        return alert.rule.get_severity_display()

    @display(description="State", ordering="state", label=STATE_COLOURS)
    def shown_state(self, alert: Alert) -> str:
        return alert.get_state_display()

    @display(description="Acknowledged")
    def acknowledged(self, alert: Alert) -> str:
        if alert.acknowledged_at is None:
            return "–"
        return f"{alert.acknowledged_by}, {timezone.localtime(alert.acknowledged_at):%d %B %H:%M}"

    def _may_operate(self, request: HttpRequest) -> bool:
        """The row itself is nobody's to edit, so this is not ``has_change_permission``."""
        return request.user.has_perm("capacity.change_alert")

    def has_acknowledge_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not self._may_operate(request):
            return False
        rows = Alert.objects.filter(acknowledged_at=None).exclude(state=Alert.State.RESOLVED)
        return object_id is None or rows.filter(pk=object_id).exists()

    def has_silence_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("capacity.change_rule")

    def _acknowledge(self, request: HttpRequest, alert: Alert) -> bool:
        is_new = alert.acknowledge(request.user.get_username(), timezone.now())
        if is_new:
            self.log_change(request, alert, "Acknowledged.")
        return is_new

    @action(description="Acknowledge", url_path="acknowledge", permissions=["acknowledge"], icon="done")
    def acknowledge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alert = Alert.objects.select_related("rule").get(pk=object_id)

        def do(_nothing: dict[str, Any]) -> str:
            is_new = self._acknowledge(request, alert)
            return f"{alert.in_words()}: {'acknowledged' if is_new else 'was acknowledged or resolved already'}."

        consequence = "You see to it: nobody is reminded of it any more. It fires until what it measures is well again."
        # The first page's button is a POST already, so nothing is asked again.
        back = reverse("admin:index") if "home" in request.GET else page_of(alert)
        return ask(request, self, Question(f"Acknowledge {alert}", consequence, "Acknowledge", back, do))

    @action(description="Silence", url_path="silence", permissions=["silence"], icon="notifications_off")
    def silence(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alert = Alert.objects.select_related("rule").get(pk=object_id)
        return ask_to_silence(request, self, alert.rule, page_of(alert))

    @admin.action(description="Acknowledge selected alerts", permissions=["acknowledge"])
    def acknowledge_selected(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        number = sum(self._acknowledge(request, alert) for alert in queryset)
        self.message_user(request, f"Acknowledged {number}.", messages.SUCCESS)


@admin.register(Phase)
class PhaseAdmin(ModelAdmin):
    list_display = ["number", "name", "months", "voice_users", "peak_concurrent", "needs"]
    list_display_links = ["number", "name"]
    search_fields = ["name"]

    @display(description="Voice users")
    def voice_users(self, phase: Phase) -> str:
        return phase.span("users")

    @display(description="Peak concurrent")
    def peak_concurrent(self, phase: Phase) -> str:
        return phase.span("concurrent")


@admin.register(Sample)
class SampleAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "at", "users", "asr_users", "tts_users", "requests", "asr_p95_s", "tts_p95_s", "error_percent", "gpu_percent",
        "month_cost_usd",
    ]  # fmt: skip
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(HourlyPeak)
class HourlyPeakAdmin(ReadOnly, ModelAdmin):
    list_display = ["hour", "users", "asr_users", "tts_users"]
    date_hierarchy = "hour"


@admin.register(ActiveUsers)
class ActiveUsersAdmin(ReadOnly, ModelAdmin):
    list_display = ["day", "users"]
    date_hierarchy = "day"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin):
    list_display = ["subject", "channel", "receiver", "state", "attempts", "due_at", "sent_at", "error"]
    list_filter = ["state", "channel"]
    search_fields = ["subject", "receiver", "error"]


@admin.register(ProbeDay)
class ProbeDayAdmin(ReadOnly, ModelAdmin):
    list_display = ["day", "probes", "failures", "uptime"]
    date_hierarchy = "day"

    @display(description="Uptime")
    def uptime(self, day: ProbeDay) -> str:
        return f"{100 * (day.probes - day.failures) / day.probes:.2f} %" if day.probes else "–"


@admin.register(Outage)
class OutageAdmin(ReadOnly, ModelAdmin):
    list_display = ["began_at", "ended_at", "reason"]
    search_fields = ["reason"]
    date_hierarchy = "began_at"
