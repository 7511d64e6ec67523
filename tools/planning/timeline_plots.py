"""Charts of simulated runs over time: arrivals, people, pods, latency and the autoscalers' metrics.

The time axis shows the time of day in Malaysia, or minutes since the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.percentiles import percentile
from tools.planning.demand import SECONDS_PER_HOUR
from tools.planning.plots import COLOUR, DASHES, GREEN, GREY, NAME, OFFSET, STYLE, caption, whole_numbers
from tools.planning.rates import DEPLOYMENTS, ENGINE
from tools.planning.simulation.cluster import INTERVAL_S, Interval, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIN_ANSWERS = 20  # with fewer answers, a percentile is not drawn


@dataclass(frozen=True)
class Axis:
    """The time axis of a chart.

    ``run``: the simulated run.
    ``bin_minutes``: the length of one bin in minutes.
    ``in_minutes``: whether the axis shows minutes since the start instead of hours of the day.
    """

    run: Run
    bin_minutes: int
    in_minutes: bool

    @property
    def edges(self) -> Any:
        """The edges of the bins, in the unit of the axis."""
        minutes = np.arange(0, len(self.run.intervals) + 1, self.bin_minutes)
        return minutes if self.in_minutes else self.run.start_h + minutes / 60

    def at(self, seconds: float) -> float:
        """Return where a time, given in seconds since the start, is on the axis."""
        return seconds / 60 if self.in_minutes else self.run.start_h + seconds / SECONDS_PER_HOUR

    def bins(self) -> list[list[Interval]]:
        """Return the intervals of each bin. An incomplete bin at the end is left out."""
        intervals = self.run.intervals
        width = self.bin_minutes
        return [intervals[first : first + width] for first in range(0, len(intervals) - width + 1, width)]


def timeline(run: Run, title: str, note: str, *, targets_s: dict[str, float], in_minutes: bool = False) -> Figure:
    """Return a figure with four panels: arrivals, people at once, pods, and the 95th percentile of the latency.

    ``title``: the title of the figure.
    ``note``: the text below the panels.
    ``targets_s``: the latency target of each kind in seconds.
    ``in_minutes``: label the time axis with minutes since the start instead of hours of the day.
    """
    import matplotlib.pyplot as plt

    hours = len(run.intervals) / 60
    axis = Axis(run, 1 if in_minutes else 5 if hours <= 8 else 15, in_minutes)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            4, 1, figsize=(9, 10.6), sharex=True, height_ratios=(1, 1, 1, 1.3), layout="constrained"
        )
        _arrivals(panels[0], axis)
        _people(panels[1], axis)
        _pods(panels[2], axis)
        _p95(panels[3], axis, targets_s)
        panels[3].set_xlim(axis.edges[0], axis.edges[-1])
        if in_minutes:
            panels[3].set_xlabel("minutes")
        else:
            ticks = np.arange(run.start_h, run.start_h + hours + 1e-9, 2 if hours > 12 else 1)
            panels[3].set_xticks(ticks, [f"{int(hour) % 24:02d}:00" for hour in ticks])
            panels[3].set_xlabel("time of day in Malaysia")
        caption(figure, title, note)
    return figure


def scaled_by(runs: Mapping[str, Run], note: str, targets: tuple[int, int]) -> Figure:
    """Return a figure with a column of panels for each autoscaler: people at once, the two metrics, and pods.

    ``runs``: the run of each autoscaler, keyed by the autoscaler's name.
    ``note``: the text below the panels.
    ``targets``: the targets of the two metrics: CPU use in percent, and users per pod.
    """
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            4, len(runs), figsize=(11, 9.6), sharex=True, sharey="row", layout="constrained", squeeze=False
        )
        for column, (name, run) in zip(panels.T, runs.items(), strict=True):
            axis = Axis(run, 1, in_minutes=True)
            _people(column[0], axis)
            _readings(column[1], axis, "CPU of the pods' request, %", targets[0], lambda part: part.pod_percent)
            _readings(
                column[2], axis, "people with work in flight per pod", targets[1], lambda part: part.users_per_pod
            )
            _pods(column[3], axis)
            column[3].set_title("API pods ready, added (▲), taken away (▼)")
            column[3].set(xlabel="minutes", xlim=(axis.edges[0], axis.edges[-1]))
            column[0].set_title(f"{name[0].upper()}{name[1:]}\n\npeople being served at once", loc="left")
        caption(figure, "More people, step by step: what each autoscaler reads and does", note)
    return figure


def _readings(
    panel: Axes, axis: Axis, title: str, target: float, value: Callable[[Interval], Mapping[str, float]]
) -> None:
    for kind in DEPLOYMENTS:
        values = [value(part).get(kind, 0.0) for part in axis.run.intervals]
        panel.stairs(values, axis.edges, color=COLOUR[kind], ls=DASHES[kind], lw=2, baseline=None, label=NAME[kind])
    panel.axhline(target, color=GREY, lw=1, ls=":", label="target")
    panel.set(title=title, ylim=(0, None))
    panel.legend(ncols=2, loc="upper left")


def _arrivals(panel: Axes, axis: Axis) -> None:
    values = [sum(part.arrivals for part in each) / len(each) / INTERVAL_S for each in axis.bins()]
    panel.stairs(values, axis.edges[: len(values) + 1], fill=True, color=GREEN, alpha=0.35, lw=0)
    panel.stairs(values, axis.edges[: len(values) + 1], color=GREEN, lw=1.6, baseline=None)
    panel.set(title="Work that arrives: requests, and units of live streams", ylabel="a second", ylim=(0, None))


def _people(panel: Axes, axis: Axis) -> None:
    values = [max(part.users for part in each) for each in axis.bins()]
    panel.stairs(values, axis.edges[: len(values) + 1], color=GREY, lw=1.6, baseline=None)
    span = "in each minute" if axis.bin_minutes == 1 else f"in {axis.bin_minutes} minutes"
    panel.set(title=f"People being served at once, the most {span}", ylabel="people", ylim=(0, None))
    panel.yaxis.set_major_locator(whole_numbers())


def _pods(panel: Axes, axis: Axis) -> None:
    """Draw ready pods as a thick line, and wanted pods as a thin line. Pods between the two lines are starting."""
    run = axis.run
    end = axis.edges[-1]
    most = 0
    for kind in DEPLOYMENTS:
        changes = [change for change in run.changes if change.deployment == kind]
        start = run.shape.pods[kind]
        counts = [start, *(change.after for change in changes)]
        most = max(most, *counts)
        wanted = [axis.edges[0], *(axis.at(change.at_s) for change in changes), end]
        late = [change.at_s + run.shape.pod_start_s * (change.after > change.before) for change in changes]
        ready = [axis.edges[0], *(min(end, axis.at(at)) for at in late), end]
        heights = [count + OFFSET[kind] for count in (*counts, counts[-1])]
        panel.step(ready, heights, where="post", color=COLOUR[kind], ls=DASHES[kind], lw=2.2, label=NAME[kind])
        if changes:
            panel.step(wanted, heights, where="post", color=COLOUR[kind], lw=0.8)
        for change in changes:
            panel.plot(
                [axis.at(change.at_s)],
                [change.after + OFFSET[kind]],
                marker="^" if change.after > change.before else "v",
                color=COLOUR[kind],
                ms=7,
                mec="white",
                mew=0.7,
                zorder=5,
            )
    title = "API pods ready, and when the autoscaler adds (▲) or takes away (▼)"
    panel.set_title(title if run.changes else "API pods: the autoscaler never changes them")
    panel.set(ylim=(0, most + 0.7), ylabel="pods")
    panel.yaxis.set_major_locator(whole_numbers())
    panel.legend(ncols=3, loc="lower right")


def _p95(panel: Axes, axis: Axis, targets_s: dict[str, float]) -> None:
    run = axis.run
    highest = 0.0
    for kind in DEPLOYMENTS:
        values = []
        for each in axis.bins():
            found = [seconds for part in each for seconds in part.latencies_s[kind]]
            values.append(percentile(found, 95) if len(found) >= MIN_ANSWERS else math.nan)
        highest = max([highest, *(value for value in values if value == value)])
        middles = (axis.edges[:-1] + axis.edges[1:])[: len(values)] / 2
        panel.plot(middles, values, color=COLOUR[kind], ls=DASHES[kind], lw=2, label=NAME[kind])
        if kind != ENGINE[kind]:
            continue  # live units have the target of speech to text, which is drawn already
        above = targets_s[kind] == max(targets_s.values())
        panel.axhline(targets_s[kind], color=COLOUR[kind], lw=1, ls=":")
        panel.annotate(
            f"target of {NAME[kind]}, {targets_s[kind]:g} s",
            (1, targets_s[kind]),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3 if above else -4),
            textcoords="offset points",
            ha="right",
            va="bottom" if above else "top",
            color=COLOUR[kind],
            fontsize=9,
        )
    panel.set_yscale("log")
    top = max(10.0, 2 * highest)
    ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if tick <= top]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.set(title=f"95 % are answered within; refused: {run.refused:,} of {run.arrivals:,}", ylim=(0.01, top))
    panel.set_ylabel("seconds, log scale")
    panel.legend(ncols=3, loc="lower right")
