"""Export or erase one end user's personal data in the roll-out.

Cohorts and some list rows apply to all client applications. If two client applications use the same id for different
end users, these tables cannot distinguish them, so erasing one of the users removes the id for both.

The audit trail is exported but not erased, because it proves who gave or refused voice to whom. Nobody can change it,
and only staff can read it. In the admin's log, ``usage.personal_data`` removes the id from all entries, including
those about lists and cohorts.
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

LISTED_IN = ("added", "removed")  # fields that name end users in the audit trail's entries about cohorts


def export(client: ClientApplication, user: str) -> dict[str, Any]:
    """Return the lists, cohorts and audit-trail entries that name an end user.

    Django's ``DjangoJSONEncoder`` can serialise the result.
    """
    return {
        "lists": list(_listed(client, user).values("list", "note", flag_name=F("flag__name"))),
        "cohorts": list(CohortMember.objects.filter(user=user).values_list("cohort__name", flat=True)),
        "audit_trail": _changes(user),
    }


def erase(client: ClientApplication, user: str) -> dict[str, int]:
    """Remove an end user from every list and cohort. Return the number of deleted rows by kind."""
    with transaction.atomic(), acting("erase_user", "The end user's request."):
        listed, _by_model = _listed(client, user).delete()
        cohorts = [cohort.remove([user]) for cohort in Cohort.objects.filter(members__user=user)]
    return {"lists": listed, "cohorts": sum(cohorts)}


def _changes(user: str) -> list[dict[str, Any]]:
    """Return the audit-trail entries that concern an end user.

    An entry about the user's list row is returned in full. An entry about a cohort may also name other users, so it is
    returned without the names.
    """
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
    """Return True if ``subject`` is the name of this user's list row or plan assignment in the audit trail."""
    one = re.escape(user)
    return bool(re.search(rf"\A(?:[^:]*: end user {one}(?: of .+)?|plan assignment [^:]*: {one}: .+)\Z", subject))


def _is_listed(user: str, names: str) -> bool:
    """Return True if ``names``, a text that ``core.audit.names`` has written, contains the user's id."""
    return bool(re.search(rf"(?:\A|, ){re.escape(user)}(?:\Z|, | and [\d,]+ more\Z)", names))


def _listed(client: ClientApplication, user: str) -> models.QuerySet[ListedUser]:
    return ListedUser.objects.filter(Q(client=client) | Q(client=None), user=user)
