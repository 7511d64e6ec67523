"""Percentiles by nearest rank: always a measured value, never an interpolated one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


def rank(number: int, percent: float) -> int:
    """Return the index of the ``percent``-th percentile among ``number`` sorted values. ``number`` is at least 1."""
    return max(0, math.ceil(percent / 100 * number) - 1)


def percentile(values: Collection[float], percent: float) -> float:
    """Return the nearest-rank percentile of the values; NaN if there are none."""
    return sorted(values)[rank(len(values), percent)] if values else math.nan


def histogram_percentile(histogram: Mapping[int, int], percent: float) -> int | None:
    """Return the upper bound of the bucket that holds the percentile; None if the histogram is empty.

    ``histogram``: the count of each bucket, by the bucket's upper bound.
    """
    total = sum(histogram.values())
    seen = 0
    for ceiling, number in sorted(histogram.items()):
        seen += number
        if number and seen > rank(total, percent):
            return ceiling
    return None
