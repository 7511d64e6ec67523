"""The panel on a flag's admin page that shows who has the feature, and checks whether a given end user has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import QuerySet
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.audit import names
from core.models import ClientApplication
from rollout import percentage, policy
from rollout.feature import Feature
from rollout.models import CohortMember, Flag, ListedUser, Ramp

FIRST = 8  # number of members to show of each list

_WHY = {
    policy.Reason.KILLED: "the kill switch is on",
    policy.Reason.OFF: "it is off for everyone",
    policy.Reason.DENIED: "on the deny-list",
    policy.Reason.EVERYONE: "it is on for everyone",
    policy.Reason.ALLOWED: "on the allow-list",
    policy.Reason.COHORT: "in a cohort",
    policy.Reason.STAFF: "has an account of this service for which the flag is on",
    policy.Reason.CLIENT: "within the client application's percentage",
    policy.Reason.PERCENTAGE: "within the percentage",
    policy.Reason.KEPT: "has had it since before voice was one flag",
    policy.Reason.OUTSIDE: "outside the percentage",
}


class CheckForm(forms.Form):
    end_user = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget())
    client = forms.ModelChoiceField(
        ClientApplication.objects.all(), required=False, empty_label="any", widget=UnfoldAdminSelectWidget()
    )


def who_is_in(flag: Flag, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the context of the template ``admin/rollout/who_is_in.html``.

    ``query``: query parameters of the page. If ``CheckForm`` was submitted, they include the end user to check.
    """
    check = CheckForm(query) if "end_user" in query else CheckForm()
    return {
        "in_words": flag.in_words(),
        "ramp": flag.ramps.filter(state__in=[Ramp.State.RUNNING, Ramp.State.PAUSED]).first(),
        "lists": _lists(flag),
        "check": check,
        "answer": _answer(flag, **check.cleaned_data) if check.is_valid() else "",
    }


def _lists(flag: Flag) -> list[tuple[str, int, str]]:
    """Return (name, size, first members as text) for each list of the flag."""
    lists: list[tuple[str, QuerySet[Any]]] = [
        ("Allow-list", flag.listed.filter(list=ListedUser.List.ALLOW)),
        ("Deny-list", flag.listed.filter(list=ListedUser.List.DENY)),
        ("In cohorts", CohortMember.objects.filter(cohort__in=flag.cohorts.all())),
        ("Client applications' percentages", flag.shares.select_related("client")),
    ]
    return [_shown(name, rows) for name, rows in lists]


def _shown(name: str, rows: QuerySet[Any]) -> tuple[str, int, str]:
    number = rows.count()
    more = f" and {number - FIRST:,} more" if number > FIRST else ""
    return name, number, names(str(row) for row in rows[:FIRST]) + more


def _answer(flag: Flag, end_user: str, client: ClientApplication | None) -> str:
    rules = policy.load()
    client_id = client.pk if client else 0
    comes_in_at = (
        f"Included from {100 * percentage.queue_position(end_user) / percentage.QUEUE_LENGTH:.2f} % of end users on."
    )
    if not flag.is_voice:
        decision = rules.decide(client_id, end_user, flag.name)
        return f"{end_user} {_verdict(decision)}. {comes_in_at}"
    decisions = [rules.decide(client_id, end_user, feature) for feature in Feature]
    if len(set(decisions)) == 1:
        return f"{end_user} {_verdict(decisions[0])}. {comes_in_at}"
    named = ", ".join(f"{feature} {_verdict(one)}" for feature, one in zip(Feature, decisions, strict=True))
    return f"{end_user}: {named}. {comes_in_at}"


def _verdict(decision: policy.Decision) -> str:
    return f"{'has it' if decision.allowed else 'does not have it'}: {_WHY[decision.reason]}"
