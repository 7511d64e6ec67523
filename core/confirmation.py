"""Admin pages that ask for confirmation, and if necessary for a reason, before an action is carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from core.audit import acting
from core.errors import DomainError


def reason_field(
    *, max_length: int = 1000, help_text: str = "Kept in the audit trail with your name."
) -> forms.CharField:
    """Return a required form field for the reason of a change."""
    return forms.CharField(
        label="Why", max_length=max_length, help_text=help_text, widget=UnfoldAdminTextareaWidget({"rows": 2})
    )


class EmptyForm(forms.Form):
    """A form without fields."""


class ReasonForm(forms.Form):
    """A form that asks for the reason of a change, for the audit trail."""

    why = reason_field()


@dataclass(frozen=True)
class Question:
    """An action that needs confirmation, and the content of the page that asks for it.

    ``title``: heading of the page.
    ``consequence``: text that says what the action will do.
    ``back``: URL of the page to show after the action.
    ``do``: function that carries out the action. It takes the form's cleaned data, and returns a message to show. If it
    raises ``DomainError``, the error's message is shown instead.
    ``button``: label of the button that confirms the action.
    ``form``: form with fields to fill in before confirming.
    ``initial``: initial values of these fields.
    ``carried``: names and values of hidden fields. They submit the rows that were selected in a list once more.
    ``is_harmful``: whether the action may do harm. If so, the button is red.
    """

    title: str
    consequence: str
    back: str
    do: Callable[[dict[str, Any]], str]
    button: str = "Confirm"
    form: type[forms.Form] = EmptyForm
    initial: Mapping[str, Any] = field(default_factory=dict)
    carried: Sequence[tuple[str, str]] = ()
    is_harmful: bool = True


def ask(
    request: HttpRequest, model_admin: ModelAdmin[Any], question: Question, *, is_sent: bool | None = None
) -> HttpResponse:
    """Return the confirmation page for an action or, once it has been confirmed, carry out the action.

    After the action, redirect to ``question.back``. The page is needed because links send GET requests, which must not
    change anything.

    ``is_sent``: whether the form on the page has been submitted. If None, this is assumed for every POST request.
    """
    is_sent = request.method == "POST" if is_sent is None else is_sent
    form = question.form(request.POST if is_sent else None, initial=dict(question.initial))
    if form.is_valid():
        try:
            with acting(request.user.get_username(), form.cleaned_data.get("why", "")):
                done = question.do(form.cleaned_data)
            model_admin.message_user(request, done, messages.SUCCESS)
        except DomainError as error:
            model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(question.back)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question.title,
        "opts": model_admin.opts,
        "consequence": question.consequence,
        "button": question.button,
        "back": question.back,
        "form": form,
        "carried": question.carried,
        "variant": "danger" if question.is_harmful else "primary",
    }
    return TemplateResponse(request, "admin/confirmation.html", context)


def ask_for_reason(
    request: HttpRequest,
    model_admin: ModelAdmin[Any],
    *,
    title: str,
    consequence: str,
    button: str,
    back: str,
    do: Callable[[str], str],
    is_harmful: bool = True,
    why: str = "",
) -> HttpResponse:
    """Return a confirmation page that asks for a reason. Once it is confirmed, call ``do`` and redirect to ``back``.

    The parameters are those of ``Question``, except for these two:

    ``do``: function that carries out the action for the given reason, and returns a message to show.
    ``why``: initial value of the reason, which saves time in an emergency.
    """

    def answered(fields: dict[str, Any]) -> str:
        return do(fields["why"])

    question = Question(
        title, consequence, back, answered, button=button, form=ReasonForm, initial={"why": why}, is_harmful=is_harmful
    )
    return ask(request, model_admin, question)
