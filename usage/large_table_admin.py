"""Admin lists of tables that grow without limit. No page may read all rows.

With a million rows, three things make Django's own admin slow:

- The date hierarchy reads every row to find the months that occur.
- Searches compare ids case-insensitively, so no index helps.
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
    """Paginator whose last page is as fast as its first: pages in the second half are read from the end."""

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        if first <= self.count // 2 or not isinstance(self.object_list, QuerySet):
            return super().page(number)
        turned = self.object_list.reverse()[self.count - last : self.count - first]
        return Page(list(turned)[::-1], number, self)


class MonthFilter(admin.SimpleListFilter):
    """List filter with the last twelve months as choices, whether or not they have rows.

    Finding the months that have rows would mean reading the whole table.
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
    """Base class of admins for large tables.

    If all search fields begin with "=", a search matches whole values and, unlike in Django, is case-sensitive.
    """

    show_full_result_count = False  # counting all rows of a large table takes longer than showing a page
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

    The indexes on end users begin with the client application, so the condition lists all client applications. ``name``
    is the field that is searched.
    """
    if name.rpartition("__")[2] != "user":
        return Q()
    clients = list(ClientApplication.objects.order_by().values_list("pk", flat=True))
    return Q(**{f"{name.removesuffix('user')}client__in": clients})


class _Spans(ChangeList):
    """Change list whose date hierarchy offers every year, month or day between the first row and the last.

    Django would offer only the ones with rows, and read the whole table to find them.
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
    """Yield the first day of each period from ``first`` to ``last``; the first yielded day may be before ``first``.

    ``kind``: "year", "month" or "day".
    """
    day = first.replace(month=1, day=1) if kind == "year" else first.replace(day=1) if kind == "month" else first
    while day <= last:
        yield day
        if kind == "year":
            day = day.replace(year=day.year + 1)
        else:
            day = month_after(day) if kind == "month" else day + timedelta(days=1)
