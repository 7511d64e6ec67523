"""How many users each chat has, told by people."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from usage.audience import ChatUsers


@admin.register(ChatUsers)
class ChatUsersAdmin(ModelAdmin):
    """Added, and taken away when it was wrong: together the rows are the history."""

    list_display = ["client", "day", "users", "note"]
    list_filter = ["client"]
    list_select_related = ["client"]
    search_fields = ["client__name", "note"]
    date_hierarchy = "day"
    fields = ["client", "day", "users", "note"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
