"""Look up the objects that an admin URL names."""

from __future__ import annotations

from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

T = TypeVar("T", bound=Model)


def found(objects: type[T] | QuerySet[T], object_id: str | int) -> T:
    """Return the row with this primary key. Raises ``Http404`` if there is none or the id is malformed."""
    try:
        return get_object_or_404(objects, pk=object_id)
    except (ValueError, OverflowError, ValidationError) as error:
        raise Http404(f"There is nothing with the id {object_id!r}.") from error


def first(objects: QuerySet[T], object_id: str | int | None) -> T | None:
    """Return the row of ``objects`` with this primary key; None if there is none or the id is malformed."""
    try:
        return objects.filter(pk=object_id).first()
    except (ValueError, OverflowError, ValidationError):
        return None


def exists(objects: QuerySet[T], object_id: str | int | None) -> bool:
    """Return True if ``objects`` has a row with this primary key."""
    return first(objects, object_id) is not None
