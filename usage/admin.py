"""Admin pages for the ledger, quotas, daily sums, feedback and costs.

Most pages are read-only. On the page of a ledger row, staff can reverse the row: after a confirmation, a counter-entry
is added to the ledger. The pages for plans and statements are in ``usage.plan_admin`` and ``usage.statement_admin``.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from unfold.decorators import action, display

from core.admin_base import AuditedAdmin, ReadOnly, first, found
from core.confirmation import Question, ask
from core.quantities import NONE, MicrosField, audio, number, percent, seconds
from usage import entered_figures_admin, plan_admin, statement_admin
from usage.admin_forms import SecondsForm, UnitsForm
from usage.cost import InfrastructureCost, month_cost
from usage.cost_figures import figures
from usage.counter_entry import left_of, take_back
from usage.entry import Kind, Measure
from usage.large_table_admin import LargeTableAdmin, MonthFilter
from usage.models import Consumption, Correction, DailyMix, DailyUse, LedgerEntry, Rating
from usage.money import exact
from usage.plans import MS_PER_MINUTE, with_share_of_limit

__all__ = ["entered_figures_admin", "plan_admin", "statement_admin"]


FILL = "To try it, use the requests that make run prints, or the demo data of manage.py seed_demo."


class ReadOnlyAdmin(ReadOnly, LargeTableAdmin):
    """Read-only admin for a large table that only the service itself writes."""


class Outcome(admin.SimpleListFilter):
    """List filter by the outcome of a request. Each outcome is a range of HTTP statuses.

    The choices are fixed, because finding the statuses in use would scan the whole ledger.
    """

    title = "outcome"
    parameter_name = "outcome"
    RANGES = {"succeeded": (200, 299), "refused": (400, 498), "left": (499, 499), "failed": (500, 599)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in self.RANGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
        limits = self.RANGES.get(self.value() or "")
        return queryset.filter(status__range=limits) if limits else queryset


OUTCOME_COLOURS = {
    "Succeeded": "success",
    "Refused": "warning",
    "Left": "default",
    "Failed": "danger",
    "Counter-entry": "info",
}


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    empty_text = f"One row for each request for speech work, however it ended. {FILL}"
    list_display = ["created_at", "kind", "client", "user", "amount", "language", "took", "outcome"]
    list_filter = ["kind", "client", Outcome, ("counters", admin.EmptyFieldListFilter)]
    list_select_related = ["client"]
    sortable_by = ["created_at"]  # no index exists for other columns, so the database would sort the whole table
    search_fields = ["=request_id", "=user"]
    search_help_text = "A complete request id or end user id."
    date_hierarchy = "created_at"
    fieldsets = [
        (None, {"fields": ["request_id", "created_at", "kind", "client", "user", "outcome", "error_code"]}),
        ("Work", {"fields": ["amount", "model", "voice", "language", "took", "waited", "is_live"]}),
        ("Counter-entry", {"fields": ["counters", "note"]}),
    ]
    readonly_fields = ["created_at", "amount", "took", "waited", "outcome"]
    actions_detail = ["take_back"]

    @display(description="Amount")
    def amount(self, entry: LedgerEntry) -> str:
        return _amount(entry.measure, entry.audio_ms, entry.characters)

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-created_at", "-id"]

    @display(description="Took", ordering="total_ms")
    def took(self, entry: LedgerEntry) -> str:
        return "a live stream" if entry.is_live else seconds(entry.total_ms / 1000)

    @display(description="Of which waiting")
    def waited(self, entry: LedgerEntry) -> str:
        return seconds(entry.queue_ms / 1000)

    @display(description="Outcome", ordering="status", label=OUTCOME_COLOURS)
    def outcome(self, entry: LedgerEntry) -> str | tuple[str, str]:
        if entry.counters_id is not None:
            return "Counter-entry"
        for name, (low, high) in Outcome.RANGES.items():
            if low <= entry.status <= high:
                code = entry.error_code if name not in ("succeeded", "left") else ""
                return (name.capitalize(), f"{name.capitalize()}: {code}") if code else name.capitalize()
        return str(entry.status)

    def has_take_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        entry = first(LedgerEntry.objects.filter(counters=None), object_id)
        # A counter-entry is a new row, so it needs the permission to add rows.
        return entry is not None and request.user.has_perm("usage.add_ledgerentry") and left_of(entry) > 0

    @action(description="Reverse", url_path="take-back", permissions=["take_back"], icon="undo")
    def take_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = found(LedgerEntry, object_id)
        left = left_of(entry)

        form = SecondsForm if entry.measure is Measure.AUDIO else UnitsForm

        def do(fields: dict[str, Any]) -> str:
            row = take_back(entry, why=fields["why"], by=request.user.get_username(), units=fields["units"])
            self.log_change(request, entry, f"Reversed {self._units(entry, -row.units)}: {fields['why']}")
            return f"Reversed {self._units(entry, -row.units)} of {self._units(entry, left)}."

        question = Question(
            form=form,
            title=f"Reverse {entry}",
            initial={"units": left},
            do=do,
            consequence="A counter-entry is added, and the row itself stays. The quota, the roll-ups and the month's"
            " draft statement are corrected. If the statement is final, it needs a credit note.",
            back=reverse("admin:usage_ledgerentry_change", args=[object_id]),
        )
        return ask(request, self, question)

    @staticmethod
    def _units(entry: LedgerEntry, units: int) -> str:
        return _amount(entry.measure, units, units)


def _amount(measure: str, audio_ms: int, characters: int) -> str:
    return audio(audio_ms) if measure == Measure.AUDIO else f"{characters:,} characters"


@admin.register(Consumption)
class ConsumptionAdmin(ReadOnlyAdmin):
    empty_text = f"What each end user has used of each month's quotas. {FILL}"
    list_display = ["of_month", "client", "user", "measure", "in_words", "of_limit", "held"]
    list_filter = ["measure", "client", MonthFilter]
    list_select_related = ["client"]
    search_fields = ["=user"]
    search_help_text = "A complete end user id."
    ordering = ["-month", "-id"]
    fields = readonly_fields = ["of_month", "client", "user", "measure", "in_words", "of_limit", "held"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Consumption]:
        return with_share_of_limit(super().get_queryset(request))

    @display(description="Month", ordering="month")
    def of_month(self, row: Consumption) -> str:
        return f"{row.month:%B %Y}"

    @display(description="Used", ordering="used")
    def in_words(self, row: Consumption) -> str:
        if row.measure == "audio":
            return f"{row.used / MS_PER_MINUTE:,.1f} minutes"
        return f"{row.used:,} characters"

    @display(description="Of the limit", ordering="share_of_limit")
    def of_limit(self, row: Consumption) -> str:
        share: float | None = getattr(row, "share_of_limit", None)
        return NONE if share is None else f"{100 * share:,.0f} %"

    @display(description="Reserved by work under way", ordering="reserved")
    def held(self, row: Consumption) -> str:
        return _amount(row.measure, row.reserved, row.reserved) if row.reserved else NONE


class _Sums(ReadOnlyAdmin):
    list_select_related = ["client"]
    date_hierarchy = "day"
    ordering = ["-day", "-id"]

    @display(description="Requests", ordering="requests")
    def number(self, row: DailyUse | DailyMix) -> str:
        return number(row.requests)

    @display(description="Amount")
    def amount(self, row: DailyUse | DailyMix) -> str:
        return _amount(Kind(row.kind).measure, row.audio_ms, row.characters)


@admin.register(DailyUse)
class DailyUseAdmin(_Sums):
    empty_text = f"Sums of the ledger by day and end user. {FILL}"
    list_display = ["day", "client", "user", "kind", "number", "not_done", "amount"]
    fields = readonly_fields = list_display
    list_filter = ["kind", "client"]
    search_fields = ["=user"]
    search_help_text = "A complete end user id."

    @display(description="Failed or refused", ordering="failed")
    def not_done(self, row: DailyUse) -> str:
        return number(row.failed)


@admin.register(DailyMix)
class DailyMixAdmin(_Sums):
    empty_text = f"Sums of the ledger by day, kind of work, model, voice, language and outcome. {FILL}"
    list_display = ["day", "client", "kind", "model", "voice", "language", "ended", "number", "amount", "mean"]
    fields = readonly_fields = list_display
    list_filter = ["kind", "client", "language", "error_code"]
    search_fields = ["model", "voice"]

    @display(description="Ended", ordering="error_code", label={"Well": "success"})
    def ended(self, row: DailyMix) -> str:
        return row.error_code or "Well"

    @display(description="Took on average")
    def mean(self, row: DailyMix) -> str:
        return seconds(row.total_ms / row.requests / 1000) if row.requests else NONE


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    empty_text = "Users' corrections of transcripts. Neither text is kept, only the word error rate."
    list_display = ["created_at", "entry", "error_rate", "reference_words"]
    fields = readonly_fields = list_display
    list_select_related = ["entry"]
    search_fields = ["=entry__request_id", "=entry__user"]

    @display(description="Word error rate", ordering="word_error_rate")
    def error_rate(self, row: Correction) -> str:
        return percent(100 * row.word_error_rate)


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    empty_text = "Listeners' ratings of synthesised speech, from 1 to 5."
    list_display = ["created_at", "entry", "of_five"]
    fields = readonly_fields = list_display
    list_filter = ["score"]
    list_select_related = ["entry"]
    search_fields = ["=entry__request_id", "=entry__user"]

    @display(description="Score", ordering="score")
    def of_five(self, row: Rating) -> str:
        return f"{row.score} of 5"


class CostForm(forms.ModelForm):  # type: ignore[type-arg]
    price_micros = MicrosField(label="Unit price, USD")

    class Meta:
        model = InfrastructureCost
        fields = [
            "resource",
            "note",
            "quantity",
            "price_micros",
            "per",
            "speech_to_text_percent",
            "starts_at",
            "ends_at",
        ]
        labels = {"speech_to_text_percent": "For speech to text, %"}


@admin.register(InfrastructureCost)
class InfrastructureCostAdmin(AuditedAdmin):
    form = CostForm
    empty_text = "The resources that run, and their prices. The month's cost and forecast are computed from them."
    list_display = ["resource", "note", "quantity", "price", "share", "starts_at", "end"]
    list_filter = ["resource", ("ends_at", admin.EmptyFieldListFilter)]
    search_fields = ["note"]
    ordering = ["-starts_at"]
    list_before_template = "admin/usage/cost.html"
    readonly_fields = ["price", "share", "end"]

    def get_fields(self, request: HttpRequest, obj: InfrastructureCost | None = None) -> list[str]:
        """Return the form fields for users who may change the row, and the list's columns for all other users."""
        return CostForm.Meta.fields if self.has_change_permission(request, obj) else self.list_display

    @display(description="Unit price", ordering="price_micros")
    def price(self, row: InfrastructureCost) -> str:
        return f"USD {exact(row.price_micros)} {'an hour' if row.per == row.Per.HOUR else 'a month'}"

    @display(description="For speech to text", ordering="speech_to_text_percent")
    def share(self, row: InfrastructureCost) -> str:
        return f"{row.speech_to_text_percent} %"

    @display(description="Ends", ordering="ends_at")
    def end(self, row: InfrastructureCost) -> str:
        return "still runs" if row.ends_at is None else date_format(timezone.localtime(row.ends_at), "DATETIME_FORMAT")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        shown = figures(month_cost())
        return super().changelist_view(request, {**(extra_context or {}), "figures": shown})
