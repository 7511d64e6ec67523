"""Fit a line or an exponential curve to past measurements, and predict when it reaches a level.

The line is fitted to the measurements and the exponential curve to their logarithms, both by least squares. The better
fit is the one that explains more of the variance of the measurements. Times are in days from an arbitrary fixed day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MIN_POINTS = 4
MIN_SPAN_DAYS = 14.0

Point = tuple[float, float]  # day, measurement


class Shape(StrEnum):
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True)
class Fit:
    """A fitted line or exponential curve.

    ``intercept``: value on day 0; for an exponential curve, its logarithm.
    ``slope``: growth per day; for an exponential curve, growth of the logarithm.
    ``r_squared``: fraction of the variance that is explained; 1 is a perfect fit.
    """

    shape: Shape
    intercept: float
    slope: float
    r_squared: float

    def at(self, day: float) -> float:
        """Return the value on a day."""
        value = self.intercept + self.slope * day
        return math.exp(min(value, 700.0)) if self.shape == Shape.EXPONENTIAL else value

    def reaches(self, level: float) -> float | None:
        """Return the day on which the curve reaches ``level``. The day may be in the past.

        Return None if the curve does not grow or ``level`` is not positive.
        """
        if self.slope <= 0 or level <= 0:
            return None
        height = math.log(level) if self.shape == Shape.EXPONENTIAL else level
        return (height - self.intercept) / self.slope

    def in_words(self) -> str:
        """Describe the fit, for example ``linear, +12 a day, R² 0.97``."""
        if self.shape == Shape.LINEAR:
            pace = f"{self.slope:+.3g} a day"
        else:
            pace = f"{100 * math.expm1(30 * self.slope):+.3g} % in 30 days"
        return f"{self.shape}, {pace}, R² {self.r_squared:.2f}"


def fit(points: Sequence[Point]) -> Fit | None:
    """Return the line or the exponential curve, whichever fits better.

    An exponential curve is considered only if all measurements are positive. Return None for fewer than ``MIN_POINTS``
    points or less than ``MIN_SPAN_DAYS`` days.
    """
    days = [day for day, _value in points]
    if len(points) < MIN_POINTS or max(days) - min(days) < MIN_SPAN_DAYS:
        return None
    fits = [_fit(Shape.LINEAR, points, lambda value: value)]
    if all(value > 0 for _day, value in points):
        fits.append(_fit(Shape.EXPONENTIAL, points, math.log))
    return max(fits, key=lambda candidate: candidate.r_squared)  # in a tie the line, which is first


def _fit(shape: Shape, points: Sequence[Point], scale: Callable[[float], float]) -> Fit:
    number = len(points)
    heights = [scale(value) for _day, value in points]
    mean_day = sum(day for day, _value in points) / number
    mean_height = sum(heights) / number
    spread = sum((day - mean_day) ** 2 for day, _value in points)
    covariance = sum(
        (day - mean_day) * (height - mean_height) for (day, _value), height in zip(points, heights, strict=True)
    )
    slope = covariance / spread
    rough = Fit(shape, mean_height - slope * mean_day, slope, 0.0)
    mean = sum(value for _day, value in points) / number
    total = sum((value - mean) ** 2 for _day, value in points)
    residual = sum((value - rough.at(day)) ** 2 for day, value in points)
    return Fit(shape, rough.intercept, slope, 1 - residual / total if total else 1.0)
