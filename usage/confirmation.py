"""A page that asks before money or the books are touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from usage.counterentry import CounterEntryError
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
    units = forms.IntegerField(
        min_value=1, widget=UnfoldAdminIntegerFieldWidget(), help_text="Characters, or milliseconds of audio."
    )


class CreditForm(WhyForm):
    amount_sen = forms.IntegerField(
        label="Amount, sen", min_value=1, widget=UnfoldAdminIntegerFieldWidget(),
        help_text="It begins with the difference to what the ledger says now.",
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
