"""Admin pages for plans, and for their assignments to end users and client applications."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from core.admin_base import AuditedAdmin
from core.quantities import MicrosField
from usage.models import Plan, PlanAssignment
from usage.money import exact


class PlanForm(forms.ModelForm):  # type: ignore[type-arg]
    micros_per_audio_minute = MicrosField(label="Price beyond, RM per minute")
    micros_per_1000_characters = MicrosField(label="Price beyond, RM per 1,000 characters")

    class Meta:
        model = Plan
        fields = "__all__"  # noqa: DJ007 - the fieldsets name them
        labels = {
            "is_default": "Default",
            "included_audio_minutes": "Included, minutes",
            "soft_audio_minutes": "Soft limit, minutes",
            "hard_audio_minutes": "Hard limit, minutes",
            "included_characters": "Included, characters",
            "soft_characters": "Soft limit, characters",
            "hard_characters": "Hard limit, characters",
        }


@admin.register(Plan)
class PlanAdmin(AuditedAdmin):
    form = PlanForm
    empty_text = "Without plans, usage is neither limited nor charged."
    list_display = ["name", "shown_default", "speech_to_text", "minute", "text_to_speech", "thousand"]
    list_filter = ["is_default"]
    search_fields = ["name", "description"]
    fieldsets = [
        (None, {"fields": ["name", "description", "is_default"]}),
        (
            "Speech to text, a month",
            {
                "fields": [
                    "included_audio_minutes",
                    "soft_audio_minutes",
                    "hard_audio_minutes",
                    "micros_per_audio_minute",
                ]
            },
        ),
        (
            "Text to speech, a month",
            {"fields": ["included_characters", "soft_characters", "hard_characters", "micros_per_1000_characters"]},
        ),
    ]
    readonly_fields = ["shown_default", "speech_to_text", "minute", "text_to_speech", "thousand"]

    def get_fieldsets(self, request: HttpRequest, obj: Plan | None = None) -> Any:
        """Return all form fields for users who may change plans, and a read-only summary for all other users."""
        if self.has_change_permission(request, obj):
            return self.fieldsets
        return [(None, {"fields": ["name", "description", *self.readonly_fields]})]

    @display(description="Default", ordering="is_default", label={"Default": "success"})
    def shown_default(self, plan: Plan) -> str:
        return "Default" if plan.is_default else ""

    @display(description="Minutes: included / limit", ordering="included_audio_minutes")
    def speech_to_text(self, plan: Plan) -> str:
        return _included(plan.included_audio_minutes, plan.hard_audio_minutes)

    @display(description="RM per minute beyond", ordering="micros_per_audio_minute")
    def minute(self, plan: Plan) -> str:
        return exact(plan.micros_per_audio_minute)

    @display(description="Characters: included / limit", ordering="included_characters")
    def text_to_speech(self, plan: Plan) -> str:
        return _included(plan.included_characters, plan.hard_characters)

    @display(description="RM per 1,000 beyond", ordering="micros_per_1000_characters")
    def thousand(self, plan: Plan) -> str:
        return exact(plan.micros_per_1000_characters)


def _included(included: int, hard: int | None) -> str:
    return f"{included:,} / {'none' if hard is None else f'{hard:,}'}"


@admin.register(PlanAssignment)
class PlanAssignmentAdmin(AuditedAdmin):
    """Admin for plan assignments. Rows can be added but not changed, to keep a history."""

    empty_text = (
        "An assignment gives an end user, or all end users of a client application, another plan than the default."
    )
    list_display = ["client", "whose", "plan", "starts_at", "note"]
    list_filter = ["plan", "client"]
    list_select_related = ["client", "plan"]
    search_fields = ["=user", "note", "plan__name"]
    fields = ["client", "user", "plan", "starts_at", "note"]

    @display(description="End user", ordering="user")
    def whose(self, row: PlanAssignment) -> str:
        return row.user or "everybody without a plan of their own"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
