"""Percentiles by nearest rank: always a value that was measured, never one between two."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


def rank(number: int, percent: float) -> int:
    """Return the index of the ``percent``-th percentile among ``number`` ordered values, at least one."""
    return max(0, math.ceil(percent / 100 * number) - 1)


def percentile(values: Collection[float], percent: float) -> float:
    """Return the nearest-rank percentile of the values; NaN if there are none."""
    return sorted(values)[rank(len(values), percent)] if values else math.nan


def histogram_percentile(histogram: Mapping[int, int], percent: float) -> int | None:
    """Return the ceiling of the bucket that holds the percentile; ``histogram`` maps each ceiling to its count. None if
    it is empty."""
    total = sum(histogram.values())
    seen = 0
    for ceiling, number in sorted(histogram.items()):
        seen += number
        if number and seen > rank(total, percent):
            return ceiling
    return None
