"""Reserve quota for work under way.

One conditional SQL statement on the end user's ``Consumption`` row for the month checks the limit and reserves the
units. So concurrent requests can never reserve more units than are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from usage import upsert
from usage.entry import Measure
from usage.models import Consumption, ReservedQuota


@dataclass(frozen=True, order=True)
class Claim:
    """A request to reserve quota. Units are milliseconds or characters.

    ``key``: id of the reservation.
    ``wanted``: total number of units that the reservation will hold.
    ``hard``: the plan's limit on used and reserved units together.
    ``expires_at``: time at which the units are freed if no ledger row has freed them.
    ``is_first``: True if the reservation holds no units yet.
    """

    client_id: int
    user: str
    month: date
    measure: Measure
    key: str
    wanted: int
    hard: int
    expires_at: datetime
    is_first: bool


@dataclass(frozen=True)
class Outcome:
    """The result of a claim.

    ``granted``: whether the units have been reserved.
    ``used``: the month's used units.
    ``reserved``: the month's reserved units, including those of this claim if it was granted.
    """

    granted: bool
    used: int
    reserved: int


def reserve_all(claims: Sequence[Claim]) -> list[Outcome]:
    """Try to reserve the units of all claims, and return the outcomes in the order of ``claims``.

    Call this inside a transaction. Rows are locked in the order of their keys, to avoid deadlocks.
    """
    fresh: list[ReservedQuota] = []
    outcomes = {claim: _reserve(claim, fresh) for claim in sorted(claims)}
    ReservedQuota.objects.bulk_create(fresh)
    return [outcomes[claim] for claim in claims]


def _reserve(claim: Claim, fresh: list[ReservedQuota]) -> Outcome:
    """Try to reserve the units of one claim. Append a new ``ReservedQuota`` to ``fresh`` instead of inserting it."""
    held = 0 if claim.is_first else _held(claim.key)
    row = _add(claim, claim.wanted - held)
    if row is None and _expire(claim):
        row = _add(claim, claim.wanted - held)
    if row is None:
        counts = _consumption(claim).values_list("used", "reserved").first()
        return Outcome(False, *(counts or (0, 0)))
    consumption_id, used, reserved = row
    values = {"consumption_id": consumption_id, "units": claim.wanted, "expires_at": claim.expires_at}
    if held:
        ReservedQuota.objects.filter(key=claim.key).update(**values)
    else:
        fresh.append(ReservedQuota(key=claim.key, **values))
    return Outcome(True, used, reserved)


def _held(key: str) -> int:
    """Return the number of units that the reservation holds; 0 if the reservation expired and was freed."""
    row = ReservedQuota.objects.select_for_update().filter(key=key).first()
    return row.units if row else 0


def _add(claim: Claim, units: int) -> tuple[int, int, int] | None:
    """Add ``units`` to the reserved units of the claim's consumption row, if the limit allows it.

    Return the row's id, used units and new reserved units; None if the limit does not allow the addition.
    """
    if units > claim.hard:
        return None
    keys = upsert.key_fields(Consumption)
    amounts = upsert.amount_fields(Consumption)
    values = [claim.client_id, claim.user, claim.month, claim.measure.value, 0, units]
    sql, params = upsert.insert(Consumption, [*keys, *amounts], [values])
    t = upsert.quoted(Consumption._meta.db_table)
    fits = f"{t}.used + {t}.reserved + EXCLUDED.reserved <= %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"{sql} {upsert.on_conflict(keys)} reserved = {t}.reserved + EXCLUDED.reserved WHERE {fits}"
            " RETURNING id, used, reserved",
            [*params, claim.hard],
        )
        rows = cursor.fetchall()
    return rows[0] if rows else None


def _consumption(claim: Claim) -> Any:
    return Consumption.objects.filter(
        client_id=claim.client_id, user=claim.user, month=claim.month, measure=claim.measure.value
    )


def _expire(claim: Claim) -> int:
    return sum(free_stale(row) for row in _consumption(claim))


@transaction.atomic
def free_stale(consumption: Consumption) -> int:
    """Free the expired reservations of one end user, month and measure. Return the number of freed units."""
    # Skip locked reservations, because another transaction is about to free or renew them.
    stale = list(
        consumption.reservations.select_for_update(skip_locked=True)
        .filter(expires_at__lt=timezone.now())
        .order_by("key")
    )
    units = sum(one.units for one in stale)
    if stale:
        ReservedQuota.objects.filter(key__in=[one.key for one in stale]).delete()
        Consumption.objects.filter(pk=consumption.pk).update(reserved=F("reserved") - units)
    return units


def free_all_stale() -> int:
    """Free all expired reservations. Return the number of ``Consumption`` rows that had expired reservations."""
    expired = ReservedQuota.objects.filter(expires_at__lt=timezone.now())
    return sum(free_stale(row) > 0 for row in Consumption.objects.filter(pk__in=expired.values("consumption")))


@transaction.atomic
def release(key: str) -> None:
    """Free a reservation without a ledger row, for example if the work turns out to belong to another end user."""
    row = ReservedQuota.objects.select_for_update().filter(key=key).first()
    if row is not None:
        row.delete()
        Consumption.objects.filter(pk=row.consumption_id).update(reserved=F("reserved") - row.units)
