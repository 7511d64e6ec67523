"""Export or erase one end user's personal data, and pseudonymise old personal data.

A pseudonym replaces the end user's id:

- ``prune`` derives the pseudonym from the id, so it is always the same. It can be traced back to the end user only with
  the service's secret key.
- ``erase`` uses a random pseudonym, which cannot be traced back.

Both also empty the request ids of the changed rows, because callers choose these ids and may put a name in them. And
both shorten the notes of counter-entries to the day and the author. Amounts are not changed, so totals need no recount.
Ids that begin with ``key:`` stand for an API key and not for a person, so ``prune`` leaves them unchanged.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q

from core import admin_log
from core.models import ClientApplication
from usage import activity
from usage.activity import PSEUDONYM, PSEUDONYM_DIGITS, pseudonym
from usage.counter_entry import without_reason
from usage.models import (
    Consumption,
    Correction,
    DailyUse,
    LedgerEntry,
    OpenStream,
    PlanAssignment,
    Rating,
    Statement,
    UserWeek,
)
from usage.period import month_of, start_of

_TABLES: tuple[type[models.Model], ...] = (LedgerEntry, DailyUse, Consumption, Statement, PlanAssignment)
_NOBODY = Q(user="") | Q(user__startswith=PSEUDONYM) | Q(user__startswith="key:")


def prune(before: datetime) -> int:
    """Pseudonymise all usage before the month that contains ``before``. Return the number of affected end users.

    The month itself is left unchanged, because its quota would otherwise be split between two user ids.
    """
    month = month_of(before)
    old: dict[type[models.Model], Q] = {
        LedgerEntry: Q(created_at__lt=start_of(month)),
        DailyUse: Q(day__lt=month),
        Consumption: Q(month__lt=month),
        Statement: Q(month__lt=month),
    }
    users: set[tuple[int, str]] = set()
    for model, is_old in old.items():
        rows = _rows(model).filter(is_old).exclude(_NOBODY).order_by()
        users.update(rows.values_list("client_id", "user").distinct())
    for client_id, user in sorted(users):
        _rename(client_id, user, pseudonym(client_id, user), old)
    return len(users)


def erase(client: ClientApplication, user: str) -> dict[str, int]:
    """Replace an end user's id, and the pseudonym in old rows, with a random pseudonym in all tables.

    Delete the checkpoints of the end user's open streams, and remove reasons and notes, which may name a person. Return
    the number of changed rows by table.
    """
    everything = {model: Q() for model in _TABLES}
    old_name = pseudonym(client.pk, user)
    with transaction.atomic():
        nobody = f"{PSEUDONYM}{secrets.token_hex(PSEUDONYM_DIGITS // 2)}"
        logged = admin_log.erase(_mine(client, (user, old_name)), user, nobody)
        _rows(PlanAssignment).filter(client=client, user__in=(user, old_name)).update(note="")
        erased = _rename(client.pk, user, nobody, everything)
        for name, rows in _rename(client.pk, old_name, nobody, everything).items():
            erased[name] += rows
        erased["weeks"] = activity.erase(client.pk, user, nobody)
        streams = OpenStream.objects.filter(entry__client_id=client.pk, entry__user=user)
        erased["admin log"] = logged
        erased["open streams"] = streams.delete()[0]
    return erased


def export(client: ClientApplication, user: str) -> dict[str, Any]:
    """Return all data that this app and the admin's log store about one end user.

    Django's ``DjangoJSONEncoder`` can serialise the result.
    """
    mine = Q(client=client, user=user)
    return {
        "client": client.name,
        "user": user,
        "plans": _values(PlanAssignment, mine, "starts_at", "note", plan_name=F("plan__name")),
        "requests": _values(
            LedgerEntry,
            mine,
            "request_id",
            "created_at",
            "kind",
            "model",
            "voice",
            "language",
            "audio_ms",
            "characters",
            "queue_ms",
            "total_ms",
            "status",
            "error_code",
            "note",
        ),
        "corrections": _values(
            Correction,
            Q(entry__client=client, entry__user=user),
            "word_error_rate",
            "reference_words",
            "created_at",
            request_id=F("entry__request_id"),
        ),
        "ratings": _values(
            Rating, Q(entry__client=client, entry__user=user), "score", "created_at", request_id=F("entry__request_id")
        ),
        "months": _values(Consumption, mine, "month", "measure", "used"),
        "weeks": _values(
            UserWeek, Q(client=client, person=activity.person(client.pk, user)), "week", "feature", "language", "days"
        ),
        "admin_log": admin_log.export(_mine(client, (user, pseudonym(client.pk, user))), user),
        "statements": [
            {
                "number": one.number,
                "month": one.month,
                "state": one.state,
                "total_sen": one.total_sen,
                "lines": [line.in_words() for line in one.lines.all()],
                "credit_notes": list(one.credit_notes.values("amount_sen", "why", "created_at")),
            }
            for one in Statement.objects.filter(mine).prefetch_related("lines")
        ],
    }


def _values(model: type[models.Model], which: Q, *names: str, **further: F) -> list[dict[str, Any]]:
    return list(_rows(model).filter(which).order_by("pk").values(*names, **further))


def _mine(client: ClientApplication, users: tuple[str, ...]) -> list[models.QuerySet[Any]]:
    return [_rows(model).filter(client=client, user__in=users) for model in _TABLES]


def _rename(client_id: int, user: str, name: str, which: dict[type[models.Model], Q]) -> dict[str, int]:
    """Replace an end user's id with ``name`` in one transaction, so that the ledger and its roll-ups always agree.

    Return the number of changed rows by table.

    ``which``: condition that selects the rows to change, by table.
    """
    changed = {}
    with transaction.atomic():
        for model, condition in which.items():
            rows = _rows(model).filter(condition, client_id=client_id, user=user)
            if model is LedgerEntry:
                _shorten_notes(rows)
            values = {"user": name, **({"request_id": ""} if model is LedgerEntry else {})}
            changed[str(model._meta.verbose_name_plural)] = rows.update(**values)
    return changed


def _shorten_notes(rows: models.QuerySet[Any]) -> None:
    """Remove the reasons from the notes of counter-entries, because free text may name a person."""
    for entry in rows.exclude(note=""):
        rows.filter(pk=entry.pk).update(note=without_reason(entry.note))


def _rows(model: type[models.Model]) -> models.QuerySet[Any]:
    """Return the model's rows as a plain query set, because the ledger's query set refuses all updates.

    The database's triggers still refuse updates other than those that replace or shorten personal data.
    """
    return models.QuerySet(model)
