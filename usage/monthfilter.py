"""Admin list filter by calendar month."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from usage.period import month_before, month_of

MONTHS = 12


class MonthFilter(admin.SimpleListFilter):
    """Filter that offers the last twelve months, because finding those with rows would scan the whole table."""

    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        months = [month_of(timezone.now())]
        while len(months) < MONTHS:
            months.append(month_before(months[-1]))
        return [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        known = {value for value, _name in self.lookup_choices}
        value = self.value()
        return queryset.filter(month=date.fromisoformat(f"{value}-01")) if value in known else queryset
