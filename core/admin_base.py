"""Base classes for read-only and audited admin pages, and functions to link to rows and to look them up.

``page_of`` returns the URL of a row's page. ``found``, ``first`` and ``exists`` look up a row by the id in a URL.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.admin import ModelAdmin

from core.audit import acting

T = TypeVar("T", bound=Model)


def page_of(row: Model) -> str:
    """Return the URL of the row's admin page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


class ReadOnly:
    """Mixin for read-only admin pages: rows cannot be added, changed or deleted there."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AuditedAdmin(ModelAdmin):
    """An admin page that records in the audit trail who makes each change, and why if the form asks for a reason."""

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


def found(objects: type[T] | QuerySet[T], object_id: str | int) -> T:
    """Return the row with this primary key. Raise ``Http404`` if no row has it, or if the key is malformed."""
    try:
        return get_object_or_404(objects, pk=object_id)
    except (ValueError, OverflowError, ValidationError) as error:
        raise Http404(f"There is nothing with the id {object_id!r}.") from error


def first(objects: QuerySet[T], object_id: str | int | None) -> T | None:
    """Return the row of ``objects`` with this primary key; None if no row has it, or if the key is malformed."""
    try:
        return objects.filter(pk=object_id).first()
    except (ValueError, OverflowError, ValidationError):
        return None


def exists(objects: QuerySet[T], object_id: str | int | None) -> bool:
    """Return True if ``objects`` has a row with this primary key."""
    return first(objects, object_id) is not None
