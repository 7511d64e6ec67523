"""Looking up what an admin address names."""

from __future__ import annotations

from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

T = TypeVar("T", bound=Model)


def found(objects: type[T] | QuerySet[T], object_id: str | int) -> T:
    """The row with that id. Raises ``Http404``, also for an id of the wrong form: it comes from an address."""
    try:
        return get_object_or_404(objects, pk=object_id)
    except (ValueError, OverflowError, ValidationError) as error:
        raise Http404(f"There is nothing with the id {object_id!r}.") from error


def first(objects: QuerySet[T], object_id: str | int | None) -> T | None:
    """The row with that id among ``objects``; None if there is none, or the id has the wrong form."""
    try:
        return objects.filter(pk=object_id).first()
    except (ValueError, OverflowError, ValidationError):
        return None


def exists(objects: QuerySet[T], object_id: str | int | None) -> bool:
    """Whether ``objects`` has a row with that id."""
    return first(objects, object_id) is not None
