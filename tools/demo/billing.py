"""Write the plans, infrastructure costs and statements of the demo quarter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import F, Q

from core.models import ClientApplication
from tools.demo.narrative import BASIC, GPU_RELIEVED, PLUS, DemoPlan, Quarter
from tools.demo.people import Person
from usage.counter_entry import take_back
from usage.models import ExchangeRate, InfrastructureCost, LedgerEntry, Plan, PlanAssignment, Statement, StatementLine
from usage.period import end_of_month, month_after, month_of, start_of
from usage.statement_generation import draft_month, finalise_month, overcharged_sen
from usage.statements import SETTLING, CreditNote

ACCOUNTANT = "puteri"
RINGGIT_FOR_A_DOLLAR = Decimal(4)
CLOSED_AFTER = timedelta(days=2, hours=10)  # from the end of a month until its statements are final
Resource = InfrastructureCost.Resource


@dataclass(frozen=True)
class Statements:
    """The statements that were made.

    ``final``: number of final statements.
    ``drafts``: number of drafts.
    ``credit_note``: the credit note; None if there is none.
    """

    final: int
    drafts: int
    credit_note: CreditNote | None


def make_plans(quarter: Quarter, clients: list[ClientApplication], people: Iterable[Person], scale: int) -> int:
    """Assign the plan ``basic`` to all clients and ``plus`` to some users; return the number of assignments.

    ``scale``: the factor by which the plans' included amounts and limits are multiplied.
    """
    basic, plus = (_plan(plan, scale) for plan in (BASIC, PLUS))
    start = start_of(quarter.first.replace(day=1))
    rows = [PlanAssignment(client=client, plan=basic, starts_at=start, note="At launch") for client in clients]
    rows += [
        PlanAssignment(
            client=clients[person.client],
            user=person.user,
            plan=plus,
            starts_at=start_of(person.plus_from),
            note="Asked for more",
        )
        for person in people
        if person.plus_from is not None
    ]
    keys = [row.pk for row in PlanAssignment.objects.bulk_create(rows)]
    for first in range(0, len(keys), 500):
        PlanAssignment.objects.filter(pk__in=keys[first : first + 500]).update(created_at=F("starts_at"))
    Plan.objects.filter(pk__in=[basic.pk, plus.pk]).update(created_at=start)
    return len(rows)


def _plan(plan: DemoPlan, scale: int) -> Plan:
    values: dict[str, object] = {
        "description": plan.description,
        "micros_per_audio_minute": plan.micros_per_minute,
        "micros_per_1000_characters": plan.micros_per_1000_characters,
    }
    for part, minutes, characters in zip(("included", "soft", "hard"), plan.minutes, plan.characters, strict=True):
        values |= {f"{part}_audio_minutes": scale * minutes, f"{part}_characters": scale * characters}
    return Plan.objects.get_or_create(name=plan.name, defaults=values)[0]


def make_costs(quarter: Quarter) -> bool:
    """Replace the infrastructure costs that a migration has written with those of the demo quarter, and return True.

    The costs start in the quarter's first month. If machines are added when the GPU is full (see ``narrative``), the
    costs rise on that day. Return False, and change nothing, if the costs are no longer those of the migration.
    """
    rows = {row.resource: row for row in InfrastructureCost.objects.all()}
    first = {Resource.T4: 1, Resource.API_POD: 2, Resource.OTHER: 1}
    if InfrastructureCost.objects.count() != len(first) or any(
        name not in rows or rows[name].quantity != number or rows[name].ends_at for name, number in first.items()
    ):
        return False
    start = start_of(quarter.first.replace(day=1))
    grown = quarter.moment(GPU_RELIEVED, 11)
    before = quarter.machines.before
    after = quarter.machines
    for resource, number, later in (
        (Resource.T4, before.gpus, after.gpus),
        (Resource.API_POD, before.pods, after.pods),
    ):
        row = rows[resource]
        InfrastructureCost.objects.filter(pk=row.pk).update(quantity=number)
        if later == number:
            continue
        InfrastructureCost.objects.filter(pk=row.pk).update(ends_at=grown)
        InfrastructureCost.objects.create(
            resource=resource,
            note=row.note,
            quantity=later,
            price_micros=row.price_micros,
            per=row.per,
            speech_to_text_percent=row.speech_to_text_percent,
            starts_at=grown,
        )
    InfrastructureCost.objects.filter(pk__in=[row.pk for row in rows.values()]).update(starts_at=start)
    return True


def make_exchange_rate(quarter: Quarter) -> None:
    """Set an exchange rate if there is none yet. It is a round number, so that nobody takes it for a real rate."""
    if not ExchangeRate.objects.exists():
        ExchangeRate.objects.create(
            day=quarter.first.replace(day=1), ringgit=RINGGIT_FOR_A_DOLLAR, source="made up for the demo"
        )


def make_statements(quarter: Quarter) -> Statements:
    """Make final statements of past months, if possible one with a credit note, and drafts of the current month.

    A past month that ended so recently that its statements cannot be final yet also gets drafts. Return what was made.
    """
    this_month = month_of(quarter.now)
    month = quarter.first.replace(day=1)
    final = 0
    drafts = 0
    while month <= this_month:
        closed = min(end_of_month(month) + CLOSED_AFTER, quarter.now)
        if closed < end_of_month(month) + SETTLING:
            drafts += draft_month(month)
        else:
            final += finalise_month(month, by=ACCOUNTANT, now=closed)
        month = month_after(month)
    return Statements(final, drafts, _credit(_latest_final(this_month)))


def _latest_final(this_month: date) -> date | None:
    states = Statement.objects.filter(state=Statement.State.FINAL, month__lt=this_month).order_by("-month")
    return states.values_list("month", flat=True).first()


def _credit(final_month: date | None) -> CreditNote | None:
    """Credit one user for a long reply that was read aloud twice by mistake; return the credit note.

    ``final_month``: the month of the statement; None if no month has final statements.

    Return None if there is no such month, or if no user's charge for speech in that month is high enough.
    """
    if final_month is None:
        return None
    charged = StatementLine.objects.filter(
        statement__month=final_month, statement__state=Statement.State.FINAL, kind="speech", amount_micros__gte=200_000
    ).exclude(statement__user="")
    line = charged.select_related("statement").order_by("-amount_micros").first()
    if line is None:
        return None
    statement = line.statement
    entry = _longest(statement, final_month)
    if entry is None:
        return None
    take_back(entry, why="Read aloud twice by a fault of the app", by=ACCOUNTANT)
    wrong_sen = overcharged_sen(statement)
    if wrong_sen <= 0:
        return None
    return statement.credit(wrong_sen, why="Read aloud twice by a fault of the app", by=ACCOUNTANT)


def _longest(statement: Statement, month: date) -> LedgerEntry | None:
    within = Q(created_at__gte=start_of(month), created_at__lt=end_of_month(month))
    rows = LedgerEntry.objects.filter(
        within, client=statement.client_id, user=statement.user, kind="speech", status=200
    )
    return rows.order_by("-characters", "id").first()
