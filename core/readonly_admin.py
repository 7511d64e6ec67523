"""The shared base of the admin pages that only display records."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse


class ReadOnly:
    """Mixin for the admin pages of measured or recorded rows: nobody may add, change or delete one."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def page_of(row: Model) -> str:
    return reverse(f"admin:capacity_{row._meta.model_name}_change", args=[row.pk])
