"""Admin pages for growth phases, which can be edited, and for history, which cannot.

The history has samples, peaks, active users, notifications, probes and outages.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from capacity import history_chart, loadtests, notifications
from capacity.history_chart import Chart
from capacity.models import ActiveUsers, Delivery, HourlyPeak, Outage, Phase, ProbeDay, Sample
from core.admin_base import AuditedAdmin, ReadOnly, page_of
from core.confirmation import Question, ask
from core.errors import DomainError
from core.quantities import NONE, number, percent, seconds, span

DELIVERY_COLOURS = {"Waiting": "warning", "Sent": "success", "Given up": "danger"}
NOBODY = "No receiver is configured, so no notification is sent. Set VOICE_ALERT_EMAILS or VOICE_ALERT_WEBHOOKS."
NO_WATCHER = "The capacity watcher writes these rows. Start it with manage.py watch_capacity or make run."


class NotDelivered(DomainError):
    """Raised when a test notification did not reach every receiver. The message names those it missed, and why."""


class HistoryCharts:
    """A mix-in for an admin list that shows charts of its history above the rows.

    ``draw``: function that returns the charts for a given time.
    """

    draw: Callable[[datetime], list[Chart]]
    list_before_template = "admin/capacity/history_chart.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), "charts": self.draw(timezone.now())}
        response: HttpResponse = super().changelist_view(request, context)  # type: ignore[misc]
        return response


@admin.register(Phase)
class PhaseAdmin(AuditedAdmin):
    empty_text = (
        "If growth phases are entered here, the first page shows the present one and when the next is expected."
    )
    list_display = ["number", "name", "months", "voice_users", "peak_concurrent", "needs", "proven_by"]
    list_display_links = ["number", "name"]
    search_fields = ["name"]
    fieldsets = [
        (None, {"fields": ["number", "name", "months"]}),
        ("Use", {"fields": [("users_from", "users_to"), ("concurrent_from", "concurrent_to")]}),
        ("Needs", {"fields": [("gpus_from", "gpus_to"), ("pods_from", "pods_to"), ("cost_from_usd", "cost_to_usd")]}),
    ]

    @display(description="Voice users")
    def voice_users(self, phase: Phase) -> str:
        return phase.span("users")

    @display(description="Peak concurrent")
    def peak_concurrent(self, phase: Phase) -> str:
        return phase.span("concurrent")

    @display(description="Proven by")
    def proven_by(self, phase: Phase) -> str:
        """Return a link to the latest load test that passed with the phase's maximum of concurrent users, or more."""
        run = loadtests.latest_for(phase)
        return NONE if run is None else format_html('<a href="{}">{}</a>', page_of(run), run)


@admin.register(Sample)
class SampleAdmin(HistoryCharts, ReadOnly, ModelAdmin):
    draw = staticmethod(history_chart.of_samples)
    empty_text = NO_WATCHER
    list_display = ["at", "all_users", "asr", "tts", "number", "asr_p95", "tts_p95", "errors", "gpu", "memory", "cost"]
    fields = readonly_fields = list_display
    date_hierarchy = "at"
    show_full_result_count = False
    list_per_page = 50  # rendering a row takes longer than reading it

    @display(description="Users", ordering="users")
    def all_users(self, sample: Sample) -> str:
        return number(sample.users)

    @display(description="ASR users", ordering="asr_users")
    def asr(self, sample: Sample) -> str:
        return number(sample.asr_users)

    @display(description="TTS users", ordering="tts_users")
    def tts(self, sample: Sample) -> str:
        return number(sample.tts_users)

    @display(description="Requests", ordering="requests")
    def number(self, sample: Sample) -> str:
        return number(sample.requests)

    @display(description="ASR p95", ordering="asr_p95_s")
    def asr_p95(self, sample: Sample) -> str:
        return seconds(sample.asr_p95_s)

    @display(description="TTS p95", ordering="tts_p95_s")
    def tts_p95(self, sample: Sample) -> str:
        return seconds(sample.tts_p95_s)

    @display(description="Errors", ordering="error_percent")
    def errors(self, sample: Sample) -> str:
        return percent(sample.error_percent)

    @display(description="GPU", ordering="gpu_percent")
    def gpu(self, sample: Sample) -> str:
        return percent(sample.gpu_percent, 0)

    @display(description="GPU memory", ordering="gpu_memory_percent")
    def memory(self, sample: Sample) -> str:
        return percent(sample.gpu_memory_percent, 0)

    @display(description="Month's cost", ordering="month_cost_usd")
    def cost(self, sample: Sample) -> str:
        return NONE if sample.month_cost_usd is None else f"USD {sample.month_cost_usd:,.2f}"


@admin.register(HourlyPeak)
class HourlyPeakAdmin(HistoryCharts, ReadOnly, ModelAdmin):
    draw = staticmethod(history_chart.of_peaks)
    empty_text = NO_WATCHER
    list_display = ["hour", "users", "asr", "tts"]
    date_hierarchy = "hour"

    @display(description="ASR users", ordering="asr_users")
    def asr(self, peak: HourlyPeak) -> str:
        return number(peak.asr_users)

    @display(description="TTS users", ordering="tts_users")
    def tts(self, peak: HourlyPeak) -> str:
        return number(peak.tts_users)


@admin.register(ActiveUsers)
class ActiveUsersAdmin(HistoryCharts, ReadOnly, ModelAdmin):
    draw = staticmethod(history_chart.of_active_users)
    empty_text = NO_WATCHER
    list_display = ["day", "in_thirty_days"]
    date_hierarchy = "day"

    @display(description="Users in the 30 days to that day", ordering="users")
    def in_thirty_days(self, row: ActiveUsers) -> str:
        return number(row.users)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin):
    empty_text = "Notifications go to VOICE_ALERT_EMAILS and VOICE_ALERT_WEBHOOKS. Their deliveries are listed here."
    list_display = ["subject", "channel", "receiver", "shown_state", "attempts", "due_at", "sent_at", "error"]
    list_filter = ["state", "channel"]
    search_fields = ["subject", "receiver", "error"]
    actions_list = ["send_test"]

    def has_send_test_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("capacity.change_alert")

    @action(description="Send a test notification", url_path="test", permissions=["send_test"], icon="send")
    def send_test(self, request: HttpRequest) -> HttpResponse:
        receivers = [receiver for _channel, receiver in notifications.receivers()]

        def do(_nothing: dict[str, Any]) -> str:
            sent = notifications.send_test(timezone.now(), request.user.get_username())
            arrived = [one.receiver for one in sent if one.state == Delivery.State.SENT]
            missed = [f"{one.receiver}: {one.error}" for one in sent if one.state != Delivery.State.SENT]
            if missed:
                raise NotDelivered(f"Sent to {len(arrived)} of {len(sent)}. {'; '.join(missed)}")
            return f"Sent to {', '.join(arrived)}." if sent else NOBODY

        consequence = f"It is sent to {', '.join(receivers)} now." if receivers else NOBODY
        back = reverse("admin:capacity_delivery_changelist")
        question = Question("Send a test notification", consequence, back, do, button="Send", is_harmful=False)
        return ask(request, self, question)

    @display(description="State", ordering="state", label=DELIVERY_COLOURS)
    def shown_state(self, delivery: Delivery) -> str:
        return delivery.get_state_display()


@admin.register(ProbeDay)
class ProbeDayAdmin(HistoryCharts, ReadOnly, ModelAdmin):
    draw = staticmethod(history_chart.of_uptime)
    empty_text = NO_WATCHER
    list_display = ["day", "number", "failed", "uptime"]
    date_hierarchy = "day"

    @display(description="Probes", ordering="probes")
    def number(self, day: ProbeDay) -> str:
        return number(day.probes)

    @display(description="Failed", ordering="failures")
    def failed(self, day: ProbeDay) -> str:
        return number(day.failures)

    @display(description="Uptime")
    def uptime(self, day: ProbeDay) -> str:
        return percent(100 * (day.probes - day.failures) / day.probes, 2) if day.probes else NONE


@admin.register(Outage)
class OutageAdmin(ReadOnly, ModelAdmin):
    empty_text = "The service has always been ready when it was probed."
    list_display = ["began_at", "ended_at", "lasted", "reason"]
    search_fields = ["reason"]
    date_hierarchy = "began_at"

    @display(description="Lasted")
    def lasted(self, outage: Outage) -> str:
        if outage.ended_at is None:
            return f"{span(timezone.now() - outage.began_at)} so far"
        return span(outage.ended_at - outage.began_at)
