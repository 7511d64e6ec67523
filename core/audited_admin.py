"""Base class for admin pages whose changes go to the audit trail, with the person who made them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from unfold.admin import ModelAdmin

from core.audit import acting


class AuditedAdmin(ModelAdmin):
    """An admin page that records each change with the logged-in person, and the reason where the form asks for one."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        why = request.POST.get("why", "") or request.POST.get("note", "")
        with acting(request.user.get_username(), why):
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with acting(request.user.get_username()):
            return super().delete_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with acting(request.user.get_username()):
            return super().changelist_view(request, *args, **kwargs)

    def page_of(self, object_id: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
