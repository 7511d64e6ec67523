"""Decide from memory readings whether a process has a memory leak.

A service under load allocates memory and frees it again. A leak is memory that is never freed, so only the lowest
readings count:

1. After a warm-up, the readings are divided into blocks, and the lowest reading of each block is taken.
2. The trend of these values is the Theil–Sen slope: the median of the slopes of all pairs of points. Outliers hardly
   change it.
3. The 99 % confidence interval of the slope follows from Kendall's rank statistic (Sen 1968, Journal of the American
   Statistical Association 63).

Two slopes are compared with the growth that is normal for memory allocators: the lower end of the confidence interval,
and the slope of the later half. There is a leak if both exceed it. The later half counts because a leak continues,
whereas a single step, such as the memory for the first large batch, does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from capacity.latency_targets import WARM_UP_SHARE

MIN_S = 10.0  # shortest time after the warm-up
MIN_READINGS = 24
MAX_BLOCKS = 24
TOLERATED_SHARE = 0.02  # growth that does not count as a leak, as a share of the memory in use
_NORMAL_99 = 2.575829

Reading = tuple[float, float]  # seconds, bytes


@dataclass(frozen=True)
class Trend:
    """The trend of a process's memory.

    ``slope``: the growth in bytes per second.
    ``low``: the lower end of the slope's 99 % confidence interval.
    ``high``: the upper end of this interval.
    ``late``: the growth in the later half of the readings, in bytes per second.
    ``span_s``: seconds from the first to the last reading, without the warm-up.
    ``level``: the median reading in bytes.
    """

    slope: float
    low: float
    high: float
    late: float
    span_s: float
    level: float

    @property
    def grown(self) -> float:
        """The growth in bytes over the whole time."""
        return self.slope * self.span_s

    @property
    def is_leak(self) -> bool:
        """Whether the growth is a leak: over ``span_s``, both ``low`` and ``late`` exceed the tolerated growth."""
        return min(self.low, self.late) * self.span_s > TOLERATED_SHARE * self.level

    def in_words(self) -> str:
        per_hour = [f"{3600 * slope / 2**20:+,.1f}" for slope in (self.slope, self.low, self.high)]
        return (
            f"{self.grown / 2**20:+.1f} MiB in {self.span_s:.0f} s at {self.level / 2**20:,.0f} MiB "
            f"({per_hour[0]} MiB an hour, 99 % interval {per_hour[1]} to {per_hour[2]}; "
            f"at the pace of the later half {self.late * self.span_s / 2**20:+.1f} MiB)"
        )


def trend(readings: Sequence[Reading]) -> Trend | None:
    """Return the trend of memory readings in ascending order of time.

    Return None if there are too few readings, or if they cover too short a time.
    """
    if len(readings) < 2:
        return None
    began = readings[0][0]
    ended = readings[-1][0]
    warm = [reading for reading in readings if reading[0] >= began + WARM_UP_SHARE * (ended - began)]
    span = warm[-1][0] - warm[0][0]
    if span < MIN_S or len(warm) < MIN_READINGS:
        return None
    troughs = _troughs(warm)
    slope, low, high = _theil_sen(troughs)
    late, _low, _high = _theil_sen(troughs[len(troughs) // 2 :])
    return Trend(slope, low, high, late, span, median(bytes_ for _at, bytes_ in warm))


def _troughs(readings: Sequence[Reading]) -> list[Reading]:
    """Divide the readings into blocks; return the middle time and the lowest value of each block."""
    blocks = min(MAX_BLOCKS, len(readings) // 2)
    edges = [round(index * len(readings) / blocks) for index in range(blocks + 1)]
    parts = [readings[start:end] for start, end in pairwise(edges)]
    return [((part[0][0] + part[-1][0]) / 2, min(bytes_ for _at, bytes_ in part)) for part in parts]


def _theil_sen(points: Sequence[Reading]) -> tuple[float, float, float]:
    """Return the Theil–Sen slope, and the lower and upper end of its 99 % confidence interval."""
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
    )
    number = len(points)
    pairs = len(slopes)
    width = _NORMAL_99 * math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    low = max(0, math.floor((pairs - width) / 2))
    high = min(pairs - 1, math.ceil((pairs + width) / 2))
    return median(slopes), slopes[low], slopes[high]
