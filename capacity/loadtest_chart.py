"""Compute line charts as SVG, so that a report is a single file without scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 500
HEIGHT = 190
LEFT = 46
RIGHT = 12
TOP = 10
BOTTOM = 28
HEADROOM = 1.2  # minimum ratio of the axis's top to a limit; leaves room for the limit's label
_STEPS = (1, 2, 2.5, 5, 10)
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


@dataclass(frozen=True)
class Curve:
    """A line in a chart.

    ``name``: its name in the legend; "" leaves it out of the legend.
    ``colour``: number of a colour in the page's style sheet.
    ``points``: pairs of a time in seconds and a value; a value of None leaves a gap.
    """

    name: str
    colour: int
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Axis:
    """A vertical axis from 0.

    ``top``: highest value.
    ``step``: distance between grid lines.
    ``decimals``: number of decimals in the labels.
    """

    top: float
    step: float
    decimals: int

    def values(self) -> list[float]:
        """Return the values of the grid lines."""
        return [index * self.step for index in range(round(self.top / self.step) + 1)]


@dataclass(frozen=True)
class Chart:
    """A line chart, ready for the template. Positions and sizes are in units of the SVG's view box."""

    title: str
    unit: str
    width: int
    height: int
    left: int
    right: float
    bottom: float
    lines: list[tuple[float, str]]  # horizontal grid lines: y, label
    ticks: list[tuple[float, str]]  # marks of the time axis: x, label
    paths: list[tuple[int, str]]  # colour, SVG path data
    legend: list[tuple[int, str]]
    limits: list[tuple[float, str]]


def chart(title: str, unit: str, curves: Sequence[Curve], *, limits: Sequence[tuple[float, str]] = ()) -> Chart:
    """Return a line chart over time.

    ``limits``: horizontal lines, as pairs of a value and a label.
    """
    values = [value for curve in curves for _at, value in curve.points if value is not None]
    axis = _axis(max([*values, *(HEADROOM * limit for limit, _name in limits)], default=0.0))
    longest = max((at for curve in curves for at, _value in curve.points), default=1.0) or 1.0
    right = WIDTH - RIGHT
    bottom = HEIGHT - BOTTOM

    def x(at: float) -> float:
        return round(LEFT + at / longest * (right - LEFT), 1)

    def y(value: float) -> float:
        return round(bottom - value / axis.top * (bottom - TOP), 1)

    return Chart(
        title,
        unit,
        WIDTH,
        HEIGHT,
        LEFT,
        right,
        bottom,
        lines=[(y(value), f"{value:,.{axis.decimals}f}") for value in axis.values()],
        ticks=[(x(at), _clock(at)) for at in _times(longest)],
        paths=[
            (curve.colour, _path([(x(at), None if value is None else y(value)) for at, value in curve.points]))
            for curve in reversed(curves)
        ],  # reversed, so that the first curve is drawn last, on top of the others
        legend=[(curve.colour, curve.name) for curve in curves if curve.name],
        limits=[(y(limit), name) for limit, name in limits],
    )


def _axis(highest: float) -> Axis:
    """Return an axis from 0 to a round number of at least ``highest``, with about four steps."""
    if highest <= 0:
        return Axis(1.0, 0.25, 2)
    size = 10 ** math.floor(math.log10(highest / 4))
    step = next(size * factor for factor in _STEPS if size * factor * 4 >= highest * 0.999)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 1):
        decimals += 1  # for steps such as 2.5
    return Axis(step * math.ceil(highest / step - 1e-9), step, decimals)


def _times(longest: float) -> list[float]:
    step = next((step for step in _TIME_STEPS if longest / step <= 7), _TIME_STEPS[-1])
    return [index * step for index in range(int(longest / step) + 1)]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """Return the SVG path data of a curve. A value of None interrupts it, and a single point becomes a dot."""
    parts = []
    is_drawing = False
    for at, height in points:
        if height is not None:
            parts.append(f"{'L' if is_drawing else 'M'}{at} {height}" + ("" if is_drawing else "h0"))
        is_drawing = height is not None
    return "".join(parts)
