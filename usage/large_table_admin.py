"""Admin lists for tables that grow without limit. No page may read all rows.

With a million rows, Django's admin is slow for three reasons, which this module avoids:

- The date hierarchy reads every row to find the months that have rows.
- A search compares ids case-insensitively, so it cannot use an index.
- Each page shows a hundred rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import Max, Min, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from core.models import ClientApplication
from usage.period import day_of, month_after, month_before, month_of, start_of

ROWS_ON_A_PAGE = 50
MONTHS = 12


class FarPaginator(Paginator):  # type: ignore[type-arg]
    """Paginator whose last page is as fast as its first, because pages in the second half are read from the end."""

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        if first <= self.count // 2 or not isinstance(self.object_list, QuerySet):
            return super().page(number)
        turned = self.object_list.reverse()[self.count - last : self.count - first]
        return Page(list(turned)[::-1], number, self)


class MonthFilter(admin.SimpleListFilter):
    """List filter by month, with the last twelve months as choices.

    Months without rows are included, because finding the months that have rows would read the whole table.
    """

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


class LargeTableAdmin(ModelAdmin):
    """Base class of the admins for large tables.

    If all search fields begin with "=", a search matches whole values. Unlike Django's search, it is case-sensitive, so
    that it can use an index.
    """

    show_full_result_count = False  # counting all rows of a large table would take longer than showing a page
    list_per_page = ROWS_ON_A_PAGE
    paginator = FarPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        usual: type[ChangeList] = super().get_changelist(request, **kwargs)
        return type("LargeTableChangeList", (_Spans, usual), {})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        names = self.get_search_fields(request)
        if not search_term or not all(name.startswith("=") for name in names):
            results: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
            return results
        found = Q()
        for name in (name.removeprefix("=") for name in names):
            found |= Q(**{name: search_term}) & _index_leader(name)
        return queryset.filter(found), False


def _index_leader(name: str) -> Q:
    """Return a condition that lets a search by end user use an index; an empty condition for other fields.

    The first column of these indexes is the client application, so the condition lists all client applications.

    ``name``: name of the field to search.
    """
    if name.rpartition("__")[2] != "user":
        return Q()
    clients = list(ClientApplication.objects.order_by().values_list("pk", flat=True))
    return Q(**{f"{name.removesuffix('user')}client__in": clients})


class _Spans(ChangeList):
    """Change list whose date hierarchy offers every year, month or day between the first row and the last.

    Django would offer only years, months or days that have rows, and read the whole table to find them.
    """

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        queryset = super().get_queryset(request, *args, **kwargs)

        def dates(field: str, kind: str) -> list[date]:
            span = queryset.order_by().aggregate(first=Min(field), last=Max(field))
            return [] if span["first"] is None else list(_periods(span["first"], span["last"], kind))

        def datetimes(field: str, kind: str) -> list[datetime]:
            span = queryset.order_by().aggregate(first=Min(field), last=Max(field))
            if span["first"] is None:
                return []
            return [start_of(day) for day in _periods(day_of(span["first"]), day_of(span["last"]), kind)]

        queryset.dates = dates  # type: ignore[method-assign,assignment]
        queryset.datetimes = datetimes  # type: ignore[method-assign,assignment]
        return queryset


def _periods(first: date, last: date, kind: str) -> Iterator[date]:
    """Yield the first day of each period from the one that contains ``first`` to the one that contains ``last``.

    ``kind``: length of a period: "year", "month" or "day".
    """
    day = first.replace(month=1, day=1) if kind == "year" else first.replace(day=1) if kind == "month" else first
    while day <= last:
        yield day
        if kind == "year":
            day = day.replace(year=day.year + 1)
        else:
            day = month_after(day) if kind == "month" else day + timedelta(days=1)
