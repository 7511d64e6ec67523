"""Exchange rates of the US dollar in ringgit, which staff enter. Costs are in dollars, revenue is in ringgit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from usage.money import divide_half_up

PLACES = 4


class ExchangeRate(models.Model):
    """Exchange rate that applies from its day until the day before the next rate.

    Rows are never changed, to keep a history. A wrong row is deleted.
    """

    day = models.DateField("from", default=timezone.localdate, unique=True)
    ringgit = models.DecimalField(
        "ringgit for a US dollar",
        max_digits=8,
        decimal_places=PLACES,
        validators=[MinValueValidator(Decimal("0.0001"))],
    )
    source = models.CharField(
        max_length=200, help_text="Where the rate comes from, such as the central bank's middle rate."
    )

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"RM {self.ringgit} from {self.day}"

    def in_ringgit(self, dollar_micros: int) -> int:
        """Convert millionths of a dollar to millionths of a ringgit, rounded half up."""
        return divide_half_up(dollar_micros * int(self.ringgit * 10**PLACES), 10**PLACES)


def rate_of(newest_first: Sequence[ExchangeRate], day: date) -> ExchangeRate | None:
    """Return the rate that applies on ``day``; None if there are no rates.

    On days before the first rate, the first rate applies.

    ``newest_first``: all rates, in descending order of their days.
    """
    holding = (rate for rate in newest_first if rate.day <= day)
    return next(holding, newest_first[-1] if newest_first else None)
