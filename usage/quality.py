"""How good the service is in real use: word error rate from corrections, mean opinion score from ratings.

Each with how much it rests on and the interval that holds the true value with 95 % confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Avg, Count, F, FloatField, Q, QuerySet, Sum, Variance
from django.db.models.functions import Cast, TruncWeek

from usage.models import Correction, Rating

Z = 1.96  # of 95 % confidence, by the normal distribution
ENOUGH = 30  # from here on that distribution is a fair one for a mean


@dataclass(frozen=True)
class Estimate:
    """``value`` is None without data; ``low`` and ``high`` with fewer than two. ``count``: corrections or ratings."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    words: int = 0

    @property
    def is_enough(self) -> bool:
        return self.count >= ENOUGH


def word_error_rate(since: datetime, until: datetime, **where: Any) -> Estimate:
    """Errors per word over all corrected transcripts of requests in that time; ``where`` selects ledger rows further
    (``model="small"``). The interval takes each transcript as one observation (linearised ratio estimator)."""
    return _error_rate(_corrections(since, until, where).aggregate(**_error_sums()))


def word_error_rate_by_week(since: datetime, until: datetime) -> dict[date, Estimate]:
    """By the Monday of the week that the requests were made in."""
    weeks = _corrections(since, until, {}).annotate(week=TruncWeek("entry__created_at")).order_by().values("week")
    return {row["week"].date(): _error_rate(dict(row)) for row in weeks.annotate(**_error_sums())}


def opinion_score(since: datetime, until: datetime, **where: Any) -> Estimate:
    """The mean of the ratings of requests in that time; ``where`` selects ledger rows further (``voice="ms-1"``)."""
    return _opinion(_ratings(since, until, where).aggregate(**_OPINIONS))


def opinion_score_by_week(since: datetime, until: datetime) -> dict[date, Estimate]:
    """By the Monday of the week that the requests were made in."""
    weeks = _ratings(since, until, {}).annotate(week=TruncWeek("entry__created_at")).order_by().values("week")
    return {row["week"].date(): _opinion(dict(row)) for row in weeks.annotate(**_OPINIONS)}


def _error_sums() -> dict[str, Any]:
    words, rate = Cast("reference_words", FloatField()), F("word_error_rate")
    return {
        "n": Count("id"),
        "w": Sum(words, default=0.0),
        "we": Sum(words * rate, default=0.0),
        "ww": Sum(words * words, default=0.0),
        "wwe": Sum(words * words * rate, default=0.0),
        "wwee": Sum(words * words * rate * rate, default=0.0),
    }


def _error_rate(sums: dict[str, Any]) -> Estimate:
    n, w = sums["n"], sums["w"]
    if not w:
        return Estimate(None, None, None, n)
    value = sums["we"] / w
    if n < 2:
        return Estimate(value, None, None, n, round(w))
    residuals = max(0.0, sums["wwee"] - 2 * value * sums["wwe"] + value * value * sums["ww"])
    margin = Z * math.sqrt(residuals * n / (n - 1)) / w
    return Estimate(value, max(0.0, value - margin), value + margin, n, round(w))


_OPINIONS: dict[str, Any] = {"n": Count("id"), "mean": Avg("score"), "variance": Variance("score")}


def _opinion(found: dict[str, Any]) -> Estimate:
    n, mean = found["n"], found["mean"]
    if n < 2:
        return Estimate(None if mean is None else float(mean), None, None, n)
    # The database's variance is the population's; the sample's estimates it by n - 1.
    margin = Z * math.sqrt(float(found["variance"]) / (n - 1))
    return Estimate(float(mean), max(1.0, float(mean) - margin), min(5.0, float(mean) + margin), n)


def _corrections(since: datetime, until: datetime, where: dict[str, Any]) -> QuerySet[Correction]:
    return Correction.objects.filter(_made(since, until, where))


def _ratings(since: datetime, until: datetime, where: dict[str, Any]) -> QuerySet[Rating]:
    return Rating.objects.filter(_made(since, until, where))


def _made(since: datetime, until: datetime, where: dict[str, Any]) -> Q:
    """Of requests in that time. Nobody corrects or rates before the request is made: that condition spares old rows."""
    further = {f"entry__{name}": value for name, value in where.items()}
    return Q(created_at__gte=since, entry__created_at__gte=since, entry__created_at__lt=until, **further)
