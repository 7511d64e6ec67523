"""Admin pages for cohorts: named lists of end users."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminTextareaWidget,
)

from core.admin_base import AuditedAdmin
from core.quantities import number
from rollout.models import Cohort, CohortMember, valid_end_user


class CohortForm(forms.ModelForm):  # type: ignore[type-arg]
    add_members = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget({"rows": 4}), help_text="End users' ids, one a line."
    )
    remove_members = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget({"rows": 4}), help_text="End users' ids, one a line."
    )

    class Meta:
        model = Cohort
        fields = ["name", "note"]

    def clean_add_members(self) -> list[str]:
        ids = _lines(self.cleaned_data["add_members"])
        for line, user in enumerate(ids, 1):
            try:
                valid_end_user(user)
            except ValidationError as error:
                raise ValidationError(f"Line {line}: {error.messages[0]}") from error
        return ids

    def clean_remove_members(self) -> list[str]:
        return _lines(self.cleaned_data["remove_members"])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@admin.register(Cohort)
class CohortAdmin(AuditedAdmin):
    form = CohortForm
    empty_text = "Named groups of end users, for example of a pilot, for which flags can be on."
    list_display = ["name", "note", "size"]
    search_fields = ["name", "note", "=members__user"]
    readonly_fields = ["size", "first_members"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cohort]:
        members = CohortMember.objects.filter(cohort=OuterRef("pk")).order_by().values("cohort")
        counted: QuerySet[Cohort] = super().get_queryset(request)
        return counted.annotate(member_count=Coalesce(Subquery(members.annotate(n=Count("pk")).values("n")), 0))

    @display(description="Members", ordering="member_count")
    def size(self, cohort: Cohort) -> str:
        return number(getattr(cohort, "member_count", 0))  # a cohort that is not yet saved has no count

    @display(description="First members")
    def first_members(self, cohort: Cohort) -> str:
        return ", ".join(cohort.members.values_list("user", flat=True)[:50]) or "–"

    def get_fields(self, request: HttpRequest, obj: Cohort | None = None) -> Any:
        if not self.has_change_permission(request, obj):
            return ["name", "note", *self.readonly_fields]
        return ["name", "note", "add_members"] + (["remove_members", *self.readonly_fields] if obj else [])

    def save_model(self, request: HttpRequest, obj: Cohort, form: Any, change: Any) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            obj.add(form.cleaned_data.get("add_members", []))
            obj.remove(form.cleaned_data.get("remove_members", []))
