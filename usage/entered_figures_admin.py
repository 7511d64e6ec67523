"""Admin pages for figures that staff enter: numbers of chat users, and exchange rates of the US dollar."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from usage.exchange_rates import ExchangeRate
from usage.models import ChatUsers


@admin.register(ChatUsers)
class ChatUsersAdmin(ModelAdmin):
    """Admin for numbers of chat users. Rows can be added and deleted but not changed, to keep a history."""

    list_display = ["client", "day", "users", "note"]
    list_filter = ["client"]
    list_select_related = ["client"]
    search_fields = ["client__name", "note"]
    date_hierarchy = "day"
    fields = ["client", "day", "users", "note"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ModelAdmin):
    """Admin for exchange rates. Rows can be added and deleted but not changed, to keep a history."""

    list_display = ["day", "ringgit", "source"]
    search_fields = ["source"]
    date_hierarchy = "day"
    fields = ["day", "ringgit", "source"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
