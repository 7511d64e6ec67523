"""One end user's data in the roll-out: handed out, or erased.

A list's row may be for any client application and a cohort's always is, so these cannot tell two people apart who have
the same id at different clients: erasing one takes the id off for both. The audit trail keeps the id: it is the proof
of who was given or refused voice by whom, nobody may rewrite it, and only operators read it. So it is handed out, and
not erased. The admin's log of lists and cohorts loses the id (``usage.personal`` has it taken out of the whole log).
"""

from __future__ import annotations

import re
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q, TextField
from django.db.models.functions import Cast

from core import admin_log
from core.audit import Change, acting
from core.models import ClientApplication
from rollout.models import Cohort, CohortMember, ListedUser

LISTED_IN = ("added", "removed")  # of a cohort's change: the fields that name end users


def export(client: ClientApplication, user: str) -> dict[str, Any]:
    """Return the lists, cohorts and changes that name an end user, as JSON-serialisable data."""
    return {
        "lists": list(_listed(client, user).values("list", "note", flag_name=F("flag__name"))),
        "cohorts": list(CohortMember.objects.filter(user=user).values_list("cohort__name", flat=True)),
        "audit_trail": _changes(user),
    }


def erase(client: ClientApplication, user: str) -> dict[str, int]:
    """Take an end user off every list and cohort. Returns the number of rows by table."""
    with transaction.atomic(), acting("erase_user", "The end user's request."):
        listed, _by_model = _listed(client, user).delete()
        cohorts = [cohort.remove([user]) for cohort in Cohort.objects.filter(members__user=user)]
    return {"lists": listed, "cohorts": sum(cohorts)}


def _changes(user: str) -> list[dict[str, Any]]:
    """Return the recorded changes that concern an end user: a list row's in full; of a cohort's, only that it named
    this user, since it may name twenty others."""
    texts = Change.objects.annotate(was=Cast("before", TextField()), became=Cast("after", TextField())).order_by("pk")
    maybe = Q()
    for name in admin_log.written(user):
        maybe |= Q(subject__contains=name) | Q(was__contains=name) | Q(became__contains=name)
    found = []
    for change in texts.filter(maybe):
        one = {"at": change.at, "subject": change.subject}
        facts = {**change.before, **change.after}
        named = [field for field in LISTED_IN if _is_listed(user, str(facts.get(field, "")))]
        if _is_subject(user, change.subject):
            found.append({**one, "before": change.before, "after": change.after, "why": change.why})
        elif named and change.subject.startswith("cohort "):
            found.append({**one, "named_in": named})
    return found


def _is_subject(user: str, subject: str) -> bool:
    """Return True if ``subject`` names the user, as ``ListedUser.subject`` and, for a plan, ``PlanAssignment`` write
    it."""
    one = re.escape(user)
    return bool(re.search(rf"\A(?:[^:]*: end user {one}(?: of .+)?|plan assignment [^:]*: {one}: .+)\Z", subject))


def _is_listed(user: str, names: str) -> bool:
    """Return True if the user is in ``names``, a list as ``core.audit.names`` writes it."""
    return bool(re.search(rf"(?:\A|, ){re.escape(user)}(?:\Z|, | and [\d,]+ more\Z)", names))


def _listed(client: ClientApplication, user: str) -> models.QuerySet[ListedUser]:
    return ListedUser.objects.filter(Q(client=client) | Q(client=None), user=user)
