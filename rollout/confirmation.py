"""Confirmation page that asks for a reason, for the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from core import confirmation
from core.confirmation import Question


def why_field(help_text: str = "Kept in the audit trail with your name.") -> forms.CharField:
    """Return a required form field for the reason of a change."""
    return forms.CharField(
        label="Why", max_length=1000, help_text=help_text, widget=UnfoldAdminTextareaWidget({"rows": 2})
    )


class WhyForm(forms.Form):
    why = why_field()


def ask(
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
    """Show the confirmation page or, if it has been confirmed, call ``do(why)`` and redirect to ``back``.

    ``do``: makes the change for the given reason, and returns the message to show afterwards.
    ``why``: the reason that the field contains at first, which saves time in an emergency.
    """

    def answered(fields: dict[str, Any]) -> str:
        return do(fields["why"])

    question = Question(
        title, consequence, back, answered, button=button, form=WhyForm, initial={"why": why}, is_harmful=is_harmful
    )
    return confirmation.ask(request, model_admin, question)
