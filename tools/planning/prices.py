"""The prices of machines: given as arguments, entered as ``usage.cost.InfrastructureCost``, or assumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from core.quantities import MICROS
from tools.planning.demand import DAYS_PER_MONTH
from usage.cost import InfrastructureCost

HOURS_PER_MONTH = 24 * DAYS_PER_MONTH

# Used if no price is given or entered. These are close to the list prices of large clouds; real prices differ.
ASSUMED_T4_HOUR_USD = 0.50
ASSUMED_POD_MONTH_USD = 40.0


@dataclass(frozen=True)
class Prices:
    """The prices of machines in US dollars.

    ``t4_hour_usd``: the price of one T4 GPU for an hour.
    ``pod_month_usd``: the price of one API pod for a month.
    ``other_usd``: other monthly costs, which do not depend on the number of machines.
    ``other_asr_share``: the share of ``other_usd`` that belongs to speech to text, from 0 to 1.
    ``sources``: for each price, a sentence that says where the price comes from.
    """

    t4_hour_usd: float
    pod_month_usd: float
    other_usd: float = 0.0
    other_asr_share: float = 0.5
    sources: tuple[str, ...] = ()

    @property
    def t4_month_usd(self) -> float:
        return self.t4_hour_usd * HOURS_PER_MONTH


def prices(
    now: datetime, *, t4_hour_usd: float | None = None, pod_month_usd: float | None = None, pod_share: float = 1.0
) -> Prices:
    """Return the prices of machines.

    Each price is the argument if there is one. Otherwise it is the highest price in the admin's infrastructure costs at
    the time ``now``. If there is none, it is an assumption.

    ``pod_share``: a pod's CPU request, divided by the number of cores that ``pod_month_usd`` pays for.
    """
    Resource = InfrastructureCost.Resource
    rows = list(InfrastructureCost.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now))
    sources = []

    def chosen(name: str, unit: str, given: float | None, resource: str, assumed: float) -> float:
        monthly = [_month_usd(row) for row in rows if row.resource == resource]
        per_unit = HOURS_PER_MONTH if unit == "hour" else 1.0
        if given is not None:
            value = given
            source = "given"
        elif monthly:
            value = max(monthly) / per_unit
            source = "from the infrastructure costs in the admin"
        else:
            value = assumed
            source = "ASSUMED: nobody has entered what is paid (admin: infrastructure costs)"
        sources.append(f"{name}: {value:,.2f} USD per {unit}, {source}")
        return value

    t4 = chosen("T4", "hour", t4_hour_usd, Resource.T4, ASSUMED_T4_HOUR_USD)
    pod = chosen("API pod", "month", pod_month_usd, Resource.API_POD, ASSUMED_POD_MONTH_USD)
    if pod_share != 1:
        sources.append(f"a pod requests {pod_share:.0%} of the cores that this price pays for, and costs that share")
        pod *= pod_share
    others = [row for row in rows if row.resource == Resource.OTHER]
    other = sum(row.quantity * _month_usd(row) for row in others)
    heard = sum(row.quantity * _month_usd(row) * row.speech_to_text_percent / 100 for row in others)
    if other:
        sources.append(f"other: {other:,.0f} USD a month, from the infrastructure costs in the admin")
    return Prices(t4, pod, other, heard / other if other else 0.5, tuple(sources))


def _month_usd(row: InfrastructureCost) -> float:
    """Return the monthly cost of one machine of this row in US dollars."""
    price = row.price_micros / MICROS
    return price * HOURS_PER_MONTH if row.per == row.Per.HOUR else price
