"""Compute a month's charges by end user and kind of work, from the daily roll-ups and the plans.

The plan that an end user has at the end of the month applies to the whole month. The kinds of work draw on the plan's
included usage one after the other, in the order of ``Kind``. Usage beyond it is charged at the plan's price. Each
charge is rounded half up to a millionth of a ringgit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from django.db.models import Sum

from usage.entry import Kind, Measure
from usage.money import divide_half_up
from usage.period import end_of_month, month_after
from usage.plans import EffectivePlans
from usage.rollups import DailyUse

_ORDER = list(Kind)


@dataclass(frozen=True)
class Charge:
    """Charge for one end user's work of one kind in a month.

    ``plan``: name of the plan; "" without a plan.
    ``units``: usage in milliseconds or characters (see ``Kind.measure``).
    ``included``: number of these units that the plan includes.
    ``price_micros``: price of the other units, in millionths of a ringgit per minute or per 1,000 characters.
    ``amount_micros``: amount to pay, in millionths of a ringgit.
    """

    user: str
    plan: str
    kind: Kind
    units: int
    included: int
    price_micros: int
    amount_micros: int


def charges(client_id: int, month: date, *, user: str | None = None) -> Iterator[Charge]:
    """Yield the month's charges, sorted by end user, and then by kind in the order of ``Kind``.

    ``month``: first day of the month.
    ``user``: id of the end user whose charges to yield; None: all end users with usage.
    """
    plans = EffectivePlans(client_id, end_of_month(month) - timedelta(microseconds=1), user=user)
    rows = DailyUse.objects.filter(client_id=client_id, day__gte=month, day__lt=month_after(month))
    if user is not None:
        rows = rows.filter(user=user)
    sums = rows.order_by("user").values_list("user", "kind").annotate(Sum("audio_ms"), Sum("characters"))
    for name, of_user in groupby(sums.iterator(), key=lambda row: row[0]):
        used = {}
        for _name, kind, audio_ms, characters in of_user:
            used[Kind(kind)] = characters if Kind(kind).measure is Measure.CHARACTERS else audio_ms
        yield from _of_user(name, used, plans)


def _of_user(user: str, used: dict[Kind, int], plans: EffectivePlans) -> Iterator[Charge]:
    plan = plans.plan_of(user)
    terms = plans.terms_of(user)
    left = {measure: terms[measure].included for measure in Measure}
    for kind in sorted(used, key=_ORDER.index):
        units = used[kind]
        of_kind = terms[kind.measure]
        if not units:
            continue
        included = min(units, left[kind.measure])
        left[kind.measure] -= max(0, included)
        amount = divide_half_up((units - included) * of_kind.price_micros, of_kind.per)
        yield Charge(user, plan.name if plan else "", kind, units, included, of_kind.price_micros, amount)
