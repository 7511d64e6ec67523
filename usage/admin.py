"""The ledger and the feedback, to look at: nothing here is changed by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from usage.models import Correction, LedgerEntry, Rating


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
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
    list_filter = ["kind", "client", "status", "model"]
    list_select_related = ["client"]
    search_fields = ["=request_id", "=user"]
    date_hierarchy = "created_at"
    show_full_result_count = False


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "entry", "word_error_rate", "reference_words"]
    list_select_related = ["entry"]


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "entry", "score"]
    list_filter = ["score"]
    list_select_related = ["entry"]
