"""A page that asks before something is done, and why: the answer goes to the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from rollout.audit import acting
from rollout.ramp import RampError


def why_field(help_text: str = "Kept in the audit trail with your name.") -> forms.CharField:
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
) -> HttpResponse:
    """Show the page; once it is confirmed, ``do(why)`` and go ``back``, with what it returns as the message."""
    form = WhyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        why = form.cleaned_data["why"]
        try:
            with acting(request.user.get_username(), why):
                model_admin.message_user(request, do(why), messages.SUCCESS)
        except RampError as error:
            model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(back)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "consequence": consequence,
        "button": button,
        "back": back,
        "form": form,
        "variant": "danger" if is_harmful else "primary",
    }
    return TemplateResponse(request, "admin/rollout/confirm.html", context)
