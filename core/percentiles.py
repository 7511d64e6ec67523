"""Percentiles by nearest rank: always a value that was measured, never one between two."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


def rank(number: int, percent: float) -> int:
    """Index of the ``percent``-th percentile among ``number`` ordered values, which must be one at least."""
    return max(0, math.ceil(percent / 100 * number) - 1)


def percentile(values: Collection[float], percent: float) -> float:
    """NaN of nothing."""
    return sorted(values)[rank(len(values), percent)] if values else math.nan


def histogram_percentile(histogram: Mapping[int, int], percent: float) -> int | None:
    """Of counts by ceiling: the ceiling that so many stay at or below. None of nothing."""
    total = sum(histogram.values())
    seen = 0
    for ceiling, number in sorted(histogram.items()):
        seen += number
        if number and seen > rank(total, percent):
            return ceiling
    return None
