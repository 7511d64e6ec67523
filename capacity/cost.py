"""What this month will have cost at its end, by the rates and the usage in ``usage``."""

from __future__ import annotations

from datetime import datetime

from usage.cost import InfrastructureCost, month_cost

MICROS = 1_000_000


def month_cost_usd(now: datetime) -> float | None:
    """The month's forecast cost in USD; None, which is not zero, where nobody has entered any prices."""
    if not InfrastructureCost.objects.exists():
        return None
    return month_cost(now).forecast_micros / MICROS
