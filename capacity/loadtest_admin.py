"""Admin pages for the stored load tests and their reports."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from capacity.loadtest_report import context, page
from capacity.models import LoadTestRun
from core.admin_base import ReadOnly, found

VERDICT_COLOURS = {"Passed": "success", "Failed": "danger", "No verdict": "warning", "Incomplete": "warning"}
# A report needs only its inline styles. Forbid the browser from loading anything else, even if the report refers to it.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@admin.register(LoadTestRun)
class LoadTestRunAdmin(ReadOnly, ModelAdmin):
    empty_text = "manage.py loadtest stores its results here. The dashboard's scorecard needs one that passed."
    list_display = [
        "scenario",
        "started_at",
        "shown_verdict",
        "concurrent_users",
        "duration",
        "success",
        "asr_p95",
        "tts_p95",
        "host",
    ]
    list_filter = ["scenario", "passed", "is_complete", "is_closed_loop"]
    search_fields = ["scenario", "host"]
    date_hierarchy = "started_at"
    show_full_result_count = False
    fields = readonly_fields = [
        "scenario",
        "shown_verdict",
        "started_at",
        "duration",
        "concurrent_users",
        "is_closed_loop",
        "host",
        "shown_report",
    ]
    actions_detail = ["open_report"]

    @display(description="Verdict", label=VERDICT_COLOURS)
    def shown_verdict(self, run: LoadTestRun) -> str:
        if not run.is_complete:
            return "Incomplete"
        return {"passed": "Passed", "failed": "Failed"}.get(run.report["verdict"], "No verdict")

    @display(description="Duration", ordering="duration_s")
    def duration(self, run: LoadTestRun) -> str:
        scale = "" if run.time_scale == 1 else f" (× {run.time_scale:g})"
        return f"{run.duration_s:g} s{scale}"

    @display(description="Success")
    def success(self, run: LoadTestRun) -> str:
        percent = run.report["success_percent"]
        return "–" if percent is None else f"{percent:.2f} %"

    @display(description="p95 ASR")
    def asr_p95(self, run: LoadTestRun) -> str:
        return _seconds(run.report["kinds"]["asr"]["p95_s"])

    @display(description="p95 TTS")
    def tts_p95(self, run: LoadTestRun) -> str:
        return _seconds(run.report["kinds"]["tts"]["p95_s"])

    @display(description="Report")
    def shown_report(self, run: LoadTestRun) -> SafeString:
        return render_to_string("loadtest/in_admin.html", context(run.report))

    @action(description="Open the report", url_path="report", permissions=["view"], icon="open_in_new")
    def open_report(self, request: HttpRequest, object_id: str) -> HttpResponse:
        response = HttpResponse(page(found(LoadTestRun, object_id).report))
        response["Content-Security-Policy"] = REPORT_POLICY
        return response


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
