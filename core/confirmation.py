"""An admin page that asks for confirmation before an action is carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from core.audit import acting
from core.errors import DomainError


class EmptyForm(forms.Form):
    """Nothing to fill in."""


@dataclass(frozen=True)
class Question:
    """``do`` gets what was filled in and returns the message that is shown once the page has gone ``back``; its
    ``DomainError`` is shown as well. ``carried``: hidden fields, for an action on a list's selection."""

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
    """Show the page, or do it if it has been confirmed. (Links to actions are GETs, which must change nothing.)

    ``is_sent``: the form has been filled in; by default when it is a POST.
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
