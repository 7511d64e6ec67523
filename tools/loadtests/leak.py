"""Does a process's memory grow? The trend of its troughs, with how sure it is.

A service at work takes memory and gives it back: only what it never gives back is a leak. So, after a warm-up, the time
is cut into blocks and each block's lowest reading is taken. Through these goes the Theil–Sen line: the median of the
slopes of all pairs, which a few wild readings do not move. Its 99 % interval is Sen's, from Kendall's rank statistic
(Sen 1968, Journal of the American Statistical Association 63). It is a leak when the growth at the interval's lower end
is more than what memory allocators leave behind anyway, and so is the growth at the later half's pace: one step (a
larger batch than ever before, say) is none, a leak goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from capacity.goals import WARM_UP_SHARE

MIN_S = 10.0  # after the warm-up
MIN_READINGS = 24
MAX_BLOCKS = 24
TOLERATED_SHARE = 0.02  # of the memory in use
_NORMAL_99 = 2.575829

Reading = tuple[float, float]  # seconds, bytes


@dataclass(frozen=True)
class Trend:
    """Bytes; ``slope``, ``low`` and ``high`` per second. ``low`` to ``high`` holds the true slope with 99 %;
    ``late``: the later half's slope."""

    slope: float
    low: float
    high: float
    late: float
    span_s: float
    level: float

    @property
    def grown(self) -> float:
        """The growth in bytes over the time watched."""
        return self.slope * self.span_s

    @property
    def is_leak(self) -> bool:
        return min(self.low, self.late) * self.span_s > TOLERATED_SHARE * self.level

    def in_words(self) -> str:
        per_hour = [f"{3600 * slope / 2**20:+,.1f}" for slope in (self.slope, self.low, self.high)]
        return (
            f"{self.grown / 2**20:+.1f} MiB in {self.span_s:.0f} s at {self.level / 2**20:,.0f} MiB "
            f"({per_hour[0]} MiB an hour, 99 %: {per_hour[1]} to {per_hour[2]}; "
            f"at the later half's pace {self.late * self.span_s / 2**20:+.1f} MiB)"
        )


def trend(readings: Sequence[Reading]) -> Trend | None:
    """Return the trend of readings under load, in order; None if they are too few or cover too short a time."""
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
    """The lowest of each block of equally many readings, at the block's middle."""
    blocks = min(MAX_BLOCKS, len(readings) // 2)
    edges = [round(index * len(readings) / blocks) for index in range(blocks + 1)]
    parts = [readings[start:end] for start, end in pairwise(edges)]
    return [((part[0][0] + part[-1][0]) / 2, min(bytes_ for _at, bytes_ in part)) for part in parts]


def _theil_sen(points: Sequence[Reading]) -> tuple[float, float, float]:
    """The median slope and its 99 % interval."""
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
