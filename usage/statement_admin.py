"""Admin pages for statements, with actions to draft, finalise, credit and print them, and to export them as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from core.admin_base import ReadOnly, exists, found
from core.confirmation import Question, ask
from core.quantities import counted
from usage import statement_export
from usage.admin_forms import CreditForm, MonthForm
from usage.large_table_admin import MonthFilter
from usage.money import exact
from usage.period import month_before, month_of
from usage.statement_generation import draft_month, finalise, overcharged_sen
from usage.statements import CreditNote, Statement, StatementError, StatementLine


class LineInline(ReadOnly, TabularInline):
    model = StatementLine
    extra = 0
    hide_title = True
    verbose_name_plural = "lines"
    fields = readonly_fields = ["kind", "plan", "used", "included", "charged", "price", "amount"]

    def _word(self, line: StatementLine, name: str) -> str:
        return str(line.in_words()[name])

    @display(description="Used")
    def used(self, line: StatementLine) -> str:
        return f"{self._word(line, 'quantity')} {line.unit_name}"

    @display(description="Included")
    def included(self, line: StatementLine) -> str:
        return self._word(line, "included")

    @display(description="Charged")
    def charged(self, line: StatementLine) -> str:
        return self._word(line, "charged")

    @display(description="Price, RM")
    def price(self, line: StatementLine) -> str:
        return f"{exact(line.price_micros)} a {self._word(line, 'price_per')}"

    @display(description="Amount, RM")
    def amount(self, line: StatementLine) -> str:
        return exact(line.amount_micros)


class ChargeFilter(admin.SimpleListFilter):
    """List filter that hides statements without a charge by default.

    Most statements have no charge, because most end users stay within the included usage of their plans.
    """

    title = "charge"
    parameter_name = "charge"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "Without a charge"), ("all", "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        choices: Iterator[Any] = super().choices(changelist)
        yield {**next(choices), "display": "With a charge"}
        yield from choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Statement]) -> QuerySet[Statement]:
        if self.value() == "all":
            return queryset
        return queryset.filter(total_micros=0) if self.value() == "none" else queryset.exclude(total_micros=0)


class CreditNoteInline(ReadOnly, TabularInline):
    model = CreditNote
    extra = 0
    hide_title = True
    fields = readonly_fields = ["number", "amount", "why", "by", "created_at"]


@admin.register(Statement)
class StatementAdmin(ReadOnly, ModelAdmin):
    inlines = [LineInline, CreditNoteInline]
    empty_text = "Create the drafts of a month: one for every client application and end user with something to charge."
    list_display = ["number", "client", "whose", "of_month", "shown_state", "total", "finalised_at"]
    list_filter = [ChargeFilter, "state", MonthFilter, "client"]
    list_select_related = ["client"]
    search_fields = ["=user", "client__name"]
    fields = [
        "number",
        "client",
        "whose",
        "of_month",
        "shown_state",
        "total",
        "balance",
        "drafted_at",
        "finalised_at",
        "finalised_by",
    ]
    readonly_fields = ["number", "whose", "of_month", "shown_state", "total", "balance"]
    actions = ["download_selected", "finalise_selected"]
    actions_list = ["draft"]
    actions_detail = ["show", "download", "make_final", "credit"]
    show_full_result_count = False
    list_per_page = 50  # a long page is slow, because rendering a row takes longer than reading it

    @display(description="End user", ordering="user")
    def whose(self, statement: Statement) -> str:
        return statement.user or "all end users"

    @display(description="Month", ordering="month")
    def of_month(self, statement: Statement) -> str:
        return f"{statement.month:%B %Y}"

    @display(description="State", ordering="state", label={"Draft": "warning", "Final": "success"})
    def shown_state(self, statement: Statement) -> str:
        return statement.get_state_display()

    # --- export -------------------------------------------------------------------------------------------------------
    @action(description="Print", url_path="print", permissions=["view"], icon="print")
    def show(self, request: HttpRequest, object_id: str) -> HttpResponse:
        statement = found(Statement.objects.select_related("client"), object_id)
        return TemplateResponse(request, "admin/usage/statement.html", statement_export.page(statement))

    @action(description="CSV", url_path="csv", permissions=["view"], icon="download")
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        statement = found(Statement.objects.select_related("client"), object_id)
        return _csv([statement], statement.number)

    @admin.action(description="Download as CSV", permissions=["view"])
    def download_selected(self, request: HttpRequest, queryset: QuerySet[Statement]) -> HttpResponse:
        return _csv(queryset.select_related("client").prefetch_related("lines", "credit_notes"), "statements")

    # --- change -------------------------------------------------------------------------------------------------------
    def _may_change(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usage.change_statement")  # the permission for all actions below

    def has_draft_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_change(request)

    def has_make_final_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        is_draft = object_id is None or exists(Statement.objects.filter(state=Statement.State.DRAFT), object_id)
        return is_draft and self._may_change(request)

    def has_credit_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        is_final = exists(Statement.objects.filter(state=Statement.State.FINAL), object_id)
        return is_final and self._may_change(request)

    @action(description="Create drafts", url_path="draft", permissions=["draft"], icon="edit_document")
    def draft(self, request: HttpRequest) -> HttpResponse:
        def do(fields: dict[str, Any]) -> str:
            return f"Created {counted(draft_month(fields['month']), 'draft')} of {fields['month']:%B %Y}."

        question = Question(
            form=MonthForm,
            title="Create drafts",
            do=do,
            back=_list_page(),
            consequence="The month's drafts are created anew for every client application and end user. Final"
            " statements stay as they are.",
            initial={"month": f"{month_before(month_of(timezone.now())):%Y-%m}"},
        )
        return ask(request, self, question)

    @action(description="Make final", url_path="final", permissions=["make_final"], icon="lock")
    def make_final(self, request: HttpRequest, object_id: str) -> HttpResponse:
        statement = found(Statement, object_id)

        def do(_fields: dict[str, Any]) -> str:
            done = finalise(statement, by=request.user.get_username())
            self.log_change(request, done, "Made final.")
            return f"{done.number} is final: {done.total}."

        question = Question(
            title=f"Make {statement.number} final",
            back=_page(object_id),
            do=do,
            consequence="The statement is calculated from the ledger a last time, and can never be changed again.",
        )
        return ask(request, self, question)

    @admin.action(description="Make final", permissions=["make_final"])
    def finalise_selected(self, request: HttpRequest, queryset: QuerySet[Statement]) -> HttpResponse:
        def do(_fields: dict[str, Any]) -> str:
            done = 0
            left = ""
            for statement in queryset:
                try:
                    finalise(statement, by=request.user.get_username())
                except StatementError as error:
                    left = f" Not all: {error}"
                else:
                    done += 1
                    self.log_change(request, statement, "Made final.")
            return f"{done} {'is' if done == 1 else 'are'} final now.{left}"

        chosen = [(ACTION_CHECKBOX_NAME, str(pk)) for pk in queryset.values_list("pk", flat=True)]
        question = Question(
            title=f"Make {counted(len(chosen), 'statement')} final",
            back=_list_page(),
            do=do,
            consequence="The statements are calculated from the ledger a last time, and can never be changed again.",
            carried=[("action", "finalise_selected"), ("sure", "yes"), *chosen],
        )
        return ask(request, self, question, is_sent="sure" in request.POST)

    @action(description="Credit note", url_path="credit", permissions=["credit"], icon="undo")
    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        statement = found(Statement, object_id)

        def do(fields: dict[str, Any]) -> str:
            note = statement.credit(fields["amount_sen"], why=fields["why"], by=request.user.get_username())
            self.log_change(request, statement, f"Credit note {note.number}: {note.amount}.")
            return f"Credit note {note.number} of {note.amount} is written."

        question = Question(
            form=CreditForm,
            title=f"Credit note on {statement.number}",
            back=_page(object_id),
            do=do,
            consequence=f"A credit note refunds money. Of {statement.total}, {statement.balance} is left to pay.",
            initial={"amount_sen": max(0, overcharged_sen(statement)) or None},
        )
        return ask(request, self, question)


def _csv(statements: Any, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return HttpResponse(statement_export.as_csv(statements), content_type="text/csv; charset=utf-8", headers=headers)


def _page(object_id: str) -> str:
    return reverse("admin:usage_statement_change", args=[object_id])


def _list_page() -> str:
    return reverse("admin:usage_statement_changelist")
