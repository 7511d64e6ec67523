"""Compute percentiles by the nearest-rank method, without interpolation. ``percent`` is between 0 and 100."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


def rank(number: int, percent: float) -> int:
    """Return the zero-based index of a percentile in a sorted list of ``number`` values. There must be at least one."""
    return max(0, math.ceil(percent / 100 * number) - 1)


def percentile(values: Collection[float], percent: float) -> float:
    """Return the nearest-rank percentile of the values; NaN if there are none."""
    return sorted(values)[rank(len(values), percent)] if values else math.nan


def histogram_percentile(histogram: Mapping[int, int], percent: float) -> int | None:
    """Return the upper bound of the bucket that contains the percentile; None if the histogram is empty.

    ``histogram``: number of values in each bucket, by the upper bound of the bucket.
    """
    total = sum(histogram.values())
    seen = 0
    for ceiling, number in sorted(histogram.items()):
        seen += number
        if number and seen > rank(total, percent):
            return ceiling
    return None
