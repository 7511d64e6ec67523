"""A page that asks before money or the books are touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from usage.counterentry import CounterEntryError
from usage.money import decimal
from usage.statements import StatementError


class SureForm(forms.Form):
    """Nothing to fill in."""


class MonthForm(forms.Form):
    month = forms.DateField(
        input_formats=["%Y-%m"], help_text="For example 2026-11", widget=UnfoldAdminTextInputWidget()
    )


class WhyForm(forms.Form):
    why = forms.CharField(label="Why", max_length=200, widget=UnfoldAdminTextareaWidget({"rows": 2}))


class UnitsForm(WhyForm):
    units = forms.IntegerField(label="Characters", min_value=1, widget=UnfoldAdminIntegerFieldWidget())


class _Scaled(forms.DecimalField):
    """Typed in larger units than it is counted in; ``factor`` small ones make a large one."""

    def __init__(self, factor: int, places: int, **options: Any) -> None:
        self.factor = factor
        super().__init__(min_value=Decimal(1) / factor, decimal_places=places, **options)
        self.widget = UnfoldAdminTextInputWidget({"inputmode": "decimal"})

    def prepare_value(self, value: Any) -> Any:
        return decimal(value, self.decimal_places or 0) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * self.factor)


class SecondsForm(WhyForm):
    """``units``: milliseconds, as the ledger counts them."""

    units = _Scaled(1000, 3, label="Audio, seconds")


class CreditForm(WhyForm):
    amount_sen = _Scaled(
        100, 2, label="Amount, RM", help_text="It begins with the difference to what the ledger says now."
    )  # fmt: skip


def ask(
    request: HttpRequest,
    model_admin: ModelAdmin[Any],
    form_class: type[forms.Form],
    *,
    title: str,
    consequence: str,
    back: str,
    do: Callable[[dict[str, Any]], str],
    initial: dict[str, Any] | None = None,
    carried: Sequence[tuple[str, str]] = (),
    is_sent: bool | None = None,
) -> HttpResponse:
    """Show the page; once it is confirmed, ``do`` it with what was filled in and go ``back`` with what that returns as
    the message. ``carried``: hidden fields, for an action on a list's selection."""
    is_sent = request.method == "POST" if is_sent is None else is_sent
    form = form_class(request.POST if is_sent else None, initial=initial or {})
    if form.is_valid():
        try:
            model_admin.message_user(request, do(form.cleaned_data), messages.SUCCESS)
        except (StatementError, CounterEntryError) as error:
            model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(back)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "consequence": consequence,
        "back": back,
        "form": form,
        "carried": carried,
    }
    return TemplateResponse(request, "admin/usage/confirm.html", context)
