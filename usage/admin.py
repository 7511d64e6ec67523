"""The books, to look at; what may be changed in them asks first. Statements have pages of their own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from usage import statementadmin
from usage.confirmation import UnitsForm, ask
from usage.cost import InfrastructureCost, month_cost
from usage.costboard import figures
from usage.counterentry import left_of, take_back
from usage.models import Consumption, Correction, DailyMix, DailyUse, LedgerEntry, Plan, PlanAssignment, Rating
from usage.money import decimal, dollars
from usage.plans import MS_PER_MINUTE

__all__ = ["statementadmin"]


class ReadOnlyAdmin(ModelAdmin):
    show_full_result_count = False  # counting a large table takes longer than showing a page of it

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at", "kind", "client", "user", "model", "voice", "language",
        "audio_ms", "characters", "queue_ms", "total_ms", "status", "error_code",
    ]  # fmt: skip
    list_filter = ["kind", "client", "status", "model", ("counters", admin.EmptyFieldListFilter)]
    list_select_related = ["client"]
    search_fields = ["=request_id", "=user"]
    date_hierarchy = "created_at"
    actions_detail = ["take_back"]

    def has_take_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        entry = LedgerEntry.objects.filter(pk=object_id, counters=None).first()
        # Nobody may change a row; who may add one may add its counter-entry.
        return entry is not None and request.user.has_perm("usage.add_ledgerentry") and left_of(entry) > 0

    @action(description="Take back", url_path="take-back", permissions=["take_back"], icon="undo")
    def take_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = LedgerEntry.objects.get(pk=object_id)
        left = left_of(entry)

        def do(fields: dict[str, Any]) -> str:
            row = take_back(entry, why=fields["why"], by=request.user.get_username(), units=fields["units"])
            self.log_change(request, entry, f"Took {-row.units} back: {fields['why']}")
            return f"Took {-row.units} of {left} back."

        return ask(
            request, self, UnitsForm, title=f"Take back {entry}", initial={"units": left}, do=do,
            consequence="A counter-entry is added; the row itself stays. Quota, roll-ups and the month's draft"
            " statement follow; a final statement needs a credit note.",
            back=reverse("admin:usage_ledgerentry_change", args=[object_id]),
        )  # fmt: skip


@admin.register(Consumption)
class ConsumptionAdmin(ReadOnlyAdmin):
    list_display = ["month", "client", "user", "measure", "in_words", "reserved"]
    list_filter = ["measure", "client", "month"]
    list_select_related = ["client"]
    search_fields = ["=user"]

    @display(description="Used", ordering="used")
    def in_words(self, row: Consumption) -> str:
        if row.measure == "audio":
            return f"{decimal(row.used * 10 // MS_PER_MINUTE, 1)} minutes"
        return f"{row.used:,} characters"


@admin.register(DailyUse)
class DailyUseAdmin(ReadOnlyAdmin):
    list_display = ["day", "client", "user", "kind", "requests", "failed", "audio_ms", "characters"]
    list_filter = ["kind", "client"]
    list_select_related = ["client"]
    search_fields = ["=user"]
    date_hierarchy = "day"


@admin.register(DailyMix)
class DailyMixAdmin(ReadOnlyAdmin):
    list_display = [
        "day", "client", "kind", "model", "voice", "language", "error_code", "requests", "audio_ms", "characters",
    ]  # fmt: skip
    list_filter = ["kind", "client", "language", "error_code"]
    list_select_related = ["client"]
    search_fields = ["model", "voice"]
    date_hierarchy = "day"


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "entry", "word_error_rate", "reference_words"]
    list_select_related = ["entry"]
    search_fields = ["=entry__request_id", "=entry__user"]


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "entry", "score"]
    list_filter = ["score"]
    list_select_related = ["entry"]
    search_fields = ["=entry__request_id", "=entry__user"]


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = [
        "name", "is_default", "included_audio_minutes", "hard_audio_minutes", "minute", "included_characters",
        "hard_characters", "thousand",
    ]  # fmt: skip
    list_filter = ["is_default"]
    search_fields = ["name", "description"]
    fieldsets = [
        (None, {"fields": ["name", "description", "is_default"]}),
        (
            "Speech to text, a month",
            {
                "fields": [
                    "included_audio_minutes", "soft_audio_minutes", "hard_audio_minutes", "micros_per_audio_minute",
                ]
            },
        ),
        (
            "Text to speech, a month",
            {"fields": ["included_characters", "soft_characters", "hard_characters", "micros_per_1000_characters"]},
        ),
    ]  # fmt: skip

    @display(description="RM a minute beyond", ordering="micros_per_audio_minute")
    def minute(self, plan: Plan) -> str:
        return decimal(plan.micros_per_audio_minute, 6)

    @display(description="RM per 1,000 characters beyond", ordering="micros_per_1000_characters")
    def thousand(self, plan: Plan) -> str:
        return decimal(plan.micros_per_1000_characters, 6)


@admin.register(PlanAssignment)
class PlanAssignmentAdmin(ModelAdmin):
    """Added, never changed: together they are the history."""

    list_display = ["client", "user", "plan", "starts_at", "note", "created_at"]
    list_filter = ["plan", "client"]
    list_select_related = ["client", "plan"]
    search_fields = ["=user", "note", "plan__name"]
    fields = ["client", "user", "plan", "starts_at", "note"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(InfrastructureCost)
class InfrastructureCostAdmin(ModelAdmin):
    list_display = ["resource", "note", "quantity", "price", "per", "speech_to_text_percent", "starts_at", "ends_at"]
    list_filter = ["resource", ("ends_at", admin.EmptyFieldListFilter)]
    search_fields = ["note"]
    list_before_template = "admin/usage/cost.html"

    @display(description="Price of one", ordering="price_micros")
    def price(self, row: InfrastructureCost) -> str:
        return dollars(row.price_micros)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        shown = figures(month_cost())
        return super().changelist_view(request, {**(extra_context or {}), "figures": shown})
