"""Quality in production: word error rate from users' corrections, and mean opinion score from ratings.

Each value has its sample size and its 95 % confidence interval.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Cast

from usage.activity import week_of
from usage.models import Correction, Rating

Z = 1.96  # quantile of the normal distribution for 95 % confidence
EVERY = Q()
ENOUGH = 30  # minimum sample size for which a mean is approximately normally distributed


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % confidence interval.

    ``value``: the mean; None without data.
    ``low``: lower end of the interval; None with fewer than two observations.
    ``high``: upper end of the interval; None with fewer than two observations.
    ``count``: number of corrections or ratings (the observations).
    ``words``: number of words in the corrected transcripts; 0 for ratings.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    words: int = 0

    @property
    def is_enough(self) -> bool:
        """Whether the sample is large enough for a judgement."""
        return self.count >= ENOUGH


def word_error_rate(since: datetime, until: datetime, **where: Any) -> Estimate:
    """Return the word error rate of a period: errors per word, over all transcripts that users have corrected.

    Each transcript is one observation for the confidence interval (linearised ratio estimator).

    ``since``, ``until``: start (inclusive) and end (exclusive) of the period.
    ``where``: filters on other fields of the ledger, for example ``model="small"``.
    """
    return _error_rate(Correction.objects.filter(_made(since, until, where)).aggregate(**_error_sums()))


def word_error_rates(first: date, last: date, which: Q = EVERY) -> tuple[Estimate, dict[date, Estimate]]:
    """Return the word error rate of requests from ``first`` to ``last`` inclusive: in total, and by week.

    A week is represented by its Monday.

    ``which``: condition on the corrections to include. Without a condition, the ledger is not read.
    """
    return _by_week(Correction.objects.filter(which), first, last, _error_sums(), _error_rate)


def opinion_score(since: datetime, until: datetime, **where: Any) -> Estimate:
    """Return the mean rating (mean opinion score) of a period.

    ``since``, ``until``: start (inclusive) and end (exclusive) of the period.
    ``where``: filters on other fields of the ledger, for example ``voice="ms-1"``.
    """
    return _opinion(Rating.objects.filter(_made(since, until, where)).aggregate(**_opinion_sums()))


def opinion_scores(first: date, last: date, which: Q = EVERY) -> tuple[Estimate, dict[date, Estimate]]:
    """Return the mean opinion score of requests from ``first`` to ``last`` inclusive: in total, and by week.

    A week is represented by its Monday.

    ``which``: condition on the ratings to include. Without a condition, the ledger is not read.
    """
    return _by_week(Rating.objects.filter(which), first, last, _opinion_sums(), _opinion)


def _error_sums() -> dict[str, Any]:
    words = Cast("reference_words", FloatField())
    rate = F("word_error_rate")
    return {
        "n": Count("id"),
        "w": Sum(words, default=0.0),
        "we": Sum(words * rate, default=0.0),
        "ww": Sum(words * words, default=0.0),
        "wwe": Sum(words * words * rate, default=0.0),
        "wwee": Sum(words * words * rate * rate, default=0.0),
    }


def _error_rate(sums: Mapping[str, Any]) -> Estimate:
    n = sums["n"]
    w = sums["w"]
    if not w:
        return Estimate(None, None, None, n)
    value = sums["we"] / w
    if n < 2:
        return Estimate(value, None, None, n, round(w))
    residuals = max(0.0, sums["wwee"] - 2 * value * sums["wwe"] + value * value * sums["ww"])
    margin = Z * math.sqrt(residuals * n / (n - 1)) / w
    return Estimate(value, max(0.0, value - margin), value + margin, n, round(w))


def _opinion_sums() -> dict[str, Any]:
    return {"n": Count("id"), "s": Sum("score", default=0), "ss": Sum(F("score") * F("score"), default=0)}


def _opinion(sums: Mapping[str, Any]) -> Estimate:
    n = sums["n"]
    if not n:
        return Estimate(None, None, None, 0)
    mean = sums["s"] / n
    if n < 2:
        return Estimate(mean, None, None, n)
    variance = max(0.0, sums["ss"] / n - mean * mean)  # biased; the division by n - 1 below corrects the bias
    margin = Z * math.sqrt(variance / (n - 1))
    return Estimate(mean, max(1.0, mean - margin), min(5.0, mean + margin), n)


def _by_week(
    rows: QuerySet[Any],
    first: date,
    last: date,
    sums: dict[str, Any],
    estimate: Callable[[Mapping[str, Any]], Estimate],
) -> tuple[Estimate, dict[date, Estimate]]:
    total: dict[str, Any] = dict.fromkeys(sums, 0)
    weeks: dict[date, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(sums, 0))
    for row in rows.filter(day__range=(first, last)).order_by().values("day").annotate(**sums):
        for added in (total, weeks[week_of(row["day"])]):
            for name in sums:
                added[name] += row[name]
    return estimate(total), {week: estimate(added) for week, added in weeks.items()}


def _made(since: datetime, until: datetime, where: dict[str, Any]) -> Q:
    further = {f"entry__{name}": value for name, value in where.items()}
    return Q(entry__created_at__gte=since, entry__created_at__lt=until, **further)
