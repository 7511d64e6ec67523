"""Draft a month's statements for client applications and their end users, and finalise them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from core.models import ClientApplication
from usage.charges import Charge, charges
from usage.period import end_of_month
from usage.statements import SETTLING, Statement, StatementError, StatementLine

BATCH = 1000

_Key = tuple[str, str, int]  # key of a statement line: plan, kind, price in millionths of a ringgit


def draft_month(month: date) -> int:
    """Draft the month's statements for all client applications, in place of earlier drafts.

    Return the number of drafts. Final statements are not changed.
    """
    return sum(draft_client(client.pk, month) for client in ClientApplication.objects.all())


@transaction.atomic
def draft_client(client_id: int, month: date) -> int:
    """Draft the month's statements for a client application and for each of its end users with usage in the month.

    An earlier draft whose usage has been taken back completely remains, without lines and with a total of 0.

    Return the number of drafts. Final statements are not changed.
    """
    month = month.replace(day=1)
    # The lock lets only one transaction at a time draft or finalise the statements of a client application.
    ClientApplication.objects.select_for_update(no_key=True).get(pk=client_id)
    lines = _lines(charges(client_id, month))
    known = {one.user: one for one in Statement.objects.filter(client_id=client_id, month=month)}
    drafts = [one for one in known.values() if not one.is_final]
    StatementLine.objects.filter(
        statement__client_id=client_id, statement__month=month, statement__state=Statement.State.DRAFT
    ).delete()
    new = [Statement(client_id=client_id, user=user, month=month) for user in lines if user not in known]
    Statement.objects.bulk_create(new, BATCH)
    _fill([*drafts, *new], lines)
    return len(drafts) + len(new)


@transaction.atomic
def finalise(statement: Statement, *, by: str, now: datetime | None = None) -> Statement:
    """Recalculate a draft for the last time, and make it final. Return the final statement.

    ``by``: name of the user who finalises the statement.

    Raise ``StatementError`` if the statement is final already, or if its month has not been over for ``SETTLING``.
    """
    now = now or timezone.now()
    ClientApplication.objects.select_for_update(no_key=True).get(pk=statement.client_id)
    statement = Statement.objects.get(pk=statement.pk)
    statement.check_final(now)
    statement.lines.all().delete()
    found = charges(statement.client_id, statement.month, user=statement.user or None)
    _fill([statement], _lines(found))
    statement.state = Statement.State.FINAL
    statement.finalised_at = now
    statement.finalised_by = by
    statement.save(update_fields=["state", "finalised_at", "finalised_by"])
    return statement


def finalise_month(month: date, *, by: str, now: datetime | None = None) -> int:
    """Recalculate all drafts of a month, one client application at a time, and make them final. Return their number.

    The result is the same as that of ``finalise`` for each statement, but this function makes only a few queries per
    client application.

    Raise ``StatementError`` if the month has not been over for ``SETTLING`` (1 h).
    """
    now = now or timezone.now()
    if now < end_of_month(month) + SETTLING:
        raise StatementError(f"Statements of {month:%Y-%m} cannot be final before the month is over.")
    return sum(_finalise_client(client.pk, month, by, now) for client in ClientApplication.objects.all())


@transaction.atomic
def _finalise_client(client_id: int, month: date, by: str, now: datetime) -> int:
    ClientApplication.objects.select_for_update(no_key=True).get(pk=client_id)
    draft_client(client_id, month)
    drafts = Statement.objects.filter(client_id=client_id, month=month.replace(day=1), state=Statement.State.DRAFT)
    return drafts.update(state=Statement.State.FINAL, drafted_at=now, finalised_at=now, finalised_by=by)


def overcharged_sen(statement: Statement) -> int:
    """Return by how many sen a final statement, less its credit notes, exceeds the charges as computed now."""
    found = charges(statement.client_id, statement.month, user=statement.user or None)
    total = Statement(total_micros=sum(charge.amount_micros for charge in found))
    return statement.total_sen - statement.credited_sen - total.total_sen


def _lines(found: Iterable[Charge]) -> dict[str, dict[_Key, list[int]]]:
    """Sum charges into statement lines, and return the lines by end user.

    The key "" stands for all end users together. A line is a list of its units, its included units, and its amount in
    millionths of a ringgit.
    """
    lines: dict[str, dict[_Key, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for charge in found:
        for owner in (charge.user, ""):
            line = lines[owner][(charge.plan, charge.kind.value, charge.price_micros)]
            for place, amount in enumerate((charge.units, charge.included, charge.amount_micros)):
                line[place] += amount
    return lines


def _fill(statements: list[Statement], lines: dict[str, dict[_Key, list[int]]]) -> None:
    rows = []
    now = timezone.now()
    for statement in statements:
        statement.total_micros = 0
        statement.drafted_at = now
        for (plan, kind, price), (units, included, amount) in lines.get(statement.user, {}).items():
            statement.total_micros += amount
            rows.append(
                StatementLine(
                    statement=statement,
                    plan=plan,
                    kind=kind,
                    units=units,
                    included_units=included,
                    price_micros=price,
                    amount_micros=amount,
                )
            )
    Statement.objects.bulk_update(statements, ["total_micros", "drafted_at"], BATCH)
    StatementLine.objects.bulk_create(rows, BATCH)
