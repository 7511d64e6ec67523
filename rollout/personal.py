"""One end user's data in the roll-out: handed out, or erased.

A list's row may be for any client application and a cohort's always is, so these cannot tell two people apart who have
the same id at different clients: erasing one takes the id off for both. The audit trail keeps the id: it is the proof
of who was given or refused voice by whom, nobody may rewrite it, and only operators read it.
"""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.db.models import F, Q

from core.audit import acting
from core.models import ClientApplication
from rollout.models import Cohort, CohortMember, ListedUser


def export(client: ClientApplication, user: str) -> dict[str, Any]:
    """The lists and cohorts that name an end user, as JSON takes them."""
    return {
        "lists": list(_listed(client, user).values("list", "note", flag_name=F("flag__name"))),
        "cohorts": list(CohortMember.objects.filter(user=user).values_list("cohort__name", flat=True)),
    }


def erase(client: ClientApplication, user: str) -> dict[str, int]:
    """Take an end user off every list and cohort. Gives, by table, the number of rows."""
    with transaction.atomic(), acting("erase_user", "The end user's request."):
        listed, _by_model = _listed(client, user).delete()
        cohorts = [cohort.remove([user]) for cohort in Cohort.objects.filter(members__user=user)]
    return {"lists": listed, "cohorts": sum(cohorts)}


def _listed(client: ClientApplication, user: str) -> models.QuerySet[ListedUser]:
    return ListedUser.objects.filter(Q(client=client) | Q(client=None), user=user)
