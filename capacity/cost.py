"""Forecast of this month's total cost, from the prices entered in ``usage.cost``."""

from __future__ import annotations

from datetime import datetime

from usage.cost import InfrastructureCost, month_cost

MICROS = 1_000_000


def month_cost_usd(now: datetime) -> float | None:
    """Return the month's forecast cost in USD; None, rather than 0, if no prices have been entered."""
    if not InfrastructureCost.objects.exists():
        return None
    return month_cost(now).forecast_micros / MICROS
