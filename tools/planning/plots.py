"""Draw the charts of a plan. This needs matplotlib (requirements-dev).

The colours are from the palette of Okabe and Ito, which colour-blind readers can tell apart. Each kind of work has the
same colour and line style in every chart. Times are local times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from core.percentiles import percentile
from tools.planning.demand import SECONDS_PER_HOUR
from tools.planning.growth import Comparison
from tools.planning.plan import Case
from tools.planning.rates import ASR, DEPLOYMENTS, ENGINE, LIVE, TTS
from tools.planning.simulation.cluster import SLICE_S, Run, Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
PINK = "#CC79A7"
GREY = "#6B7280"
COLOUR = {ASR: BLUE, TTS: ORANGE, LIVE: PINK}
DASHES: dict[str, Any] = {ASR: "-", TTS: (0, (4, 1.5)), LIVE: (0, (1, 1))}
NAME = {ASR: "speech to text", TTS: "text to speech", LIVE: "live"}
OFFSET = {ASR: 0.06, TTS: 0.0, LIVE: -0.06}  # shifts lines that would otherwise hide each other
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9CA3AF",
    "axes.labelcolor": "#374151",
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#E5E7EB",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "plan",
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "figure.constrained_layout.w_pad": 0.12,
}
MIN_ANSWERS = 20  # with fewer answers, a percentile is not drawn


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Save a figure as PNG and SVG, and return the two paths. Equal figures give identical files."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with plt.rc_context(STYLE):
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths


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
        minutes = np.arange(0, len(self.run.slices) + 1, self.bin_minutes)
        return minutes if self.in_minutes else self.run.start_h + minutes / 60

    def at(self, seconds: float) -> float:
        """Return the position on the axis of a time in seconds since the start."""
        return seconds / 60 if self.in_minutes else self.run.start_h + seconds / SECONDS_PER_HOUR

    def bins(self) -> list[list[Slice]]:
        """Return the slices of each bin. An incomplete bin at the end is left out."""
        slices = self.run.slices
        width = self.bin_minutes
        return [slices[first : first + width] for first in range(0, len(slices) - width + 1, width)]


def timeline(run: Run, title: str, note: str, *, goals_s: dict[str, float], in_minutes: bool = False) -> Figure:
    """Draw four panels below each other: arrivals, people at once, pods, and the 95th percentile of the latency.

    ``title``: the title of the figure.
    ``note``: the text below the panels.
    ``goals_s``: the latency goal of each kind in seconds.
    ``in_minutes``: label the time axis with minutes since the start instead of hours of the day.
    """
    import matplotlib.pyplot as plt

    hours = len(run.slices) / 60
    axis = Axis(run, 1 if in_minutes else 5 if hours <= 8 else 15, in_minutes)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            4, 1, figsize=(9, 10.6), sharex=True, height_ratios=(1, 1, 1, 1.3), layout="constrained"
        )
        _arrivals(panels[0], axis)
        _people(panels[1], axis)
        _pods(panels[2], axis)
        _p95(panels[3], axis, goals_s)
        panels[3].set_xlim(axis.edges[0], axis.edges[-1])
        if in_minutes:
            panels[3].set_xlabel("minutes")
        else:
            ticks = np.arange(run.start_h, run.start_h + hours + 1e-9, 2 if hours > 12 else 1)
            panels[3].set_xticks(ticks, [f"{int(hour) % 24:02d}:00" for hour in ticks])
            panels[3].set_xlabel("time of day in Malaysia")
        _caption(figure, title, note)
    return figure


def scaled_by(runs: Mapping[str, Run], note: str, targets: tuple[int, int]) -> Figure:
    """Draw one column of panels for each autoscaler: people at once, the two metrics, and pods.

    ``runs``: the run of each autoscaler, by the autoscaler's name.
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
        _caption(figure, "More people, step by step: what each autoscaler reads and does", note)
    return figure


def _readings(
    panel: Axes, axis: Axis, title: str, target: float, value: Callable[[Slice], Mapping[str, float]]
) -> None:
    for kind in DEPLOYMENTS:
        values = [value(part).get(kind, 0.0) for part in axis.run.slices]
        panel.stairs(values, axis.edges, color=COLOUR[kind], ls=DASHES[kind], lw=2, baseline=None, label=NAME[kind])
    panel.axhline(target, color=GREY, lw=1, ls=":", label="target")
    panel.set(title=title, ylim=(0, None))
    panel.legend(ncols=2, loc="upper left")


def _caption(figure: Figure, title: str, note: str) -> None:
    """Add a title at the top, and the wrapped note at the bottom."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
    lines = [line for part in note.split("\n") for line in wrap(part, round(14.5 * figure.get_figwidth()))]
    figure.supxlabel("\n".join(lines), x=0.012, ha="left", fontsize=8.5, color=GREY)


def _arrivals(panel: Axes, axis: Axis) -> None:
    values = [sum(part.arrivals for part in each) / len(each) / SLICE_S for each in axis.bins()]
    panel.stairs(values, axis.edges[: len(values) + 1], fill=True, color=GREEN, alpha=0.35, lw=0)
    panel.stairs(values, axis.edges[: len(values) + 1], color=GREEN, lw=1.6, baseline=None)
    panel.set(title="Work that arrives: requests, and units of live streams", ylabel="a second", ylim=(0, None))


def _people(panel: Axes, axis: Axis) -> None:
    values = [max(part.users for part in each) for each in axis.bins()]
    panel.stairs(values, axis.edges[: len(values) + 1], color=GREY, lw=1.6, baseline=None)
    span = "in each minute" if axis.bin_minutes == 1 else f"in {axis.bin_minutes} minutes"
    panel.set(title=f"People being served at once, the most {span}", ylabel="people", ylim=(0, None))
    panel.yaxis.set_major_locator(_whole())


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
    panel.yaxis.set_major_locator(_whole())
    panel.legend(ncols=3, loc="lower right")


def _p95(panel: Axes, axis: Axis, goals_s: dict[str, float]) -> None:
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
            continue  # live units have the goal of speech to text, which is drawn already
        above = goals_s[kind] == max(goals_s.values())
        panel.axhline(goals_s[kind], color=COLOUR[kind], lw=1, ls=":")
        panel.annotate(
            f"goal of {NAME[kind]}, {goals_s[kind]:g} s",
            (1, goals_s[kind]),
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


def phases(comparisons: Sequence[Comparison], note: str) -> Figure:
    """Draw the machines and cost of each phase beside those that the plan needs at the upper limits of the phase."""
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 3, figsize=(11, 4.8), layout="constrained")
        _phase_panel(panels[0], comparisons, "T4 GPUs", "GPUs", "gpus", lambda case: case.machines.gpus)
        _phase_panel(
            panels[1],
            comparisons,
            "API pods of the larger deployment",
            "pods",
            "pods",
            lambda case: case.machines.largest_deployment,
        )
        _phase_panel(panels[2], comparisons, "Cost a month", "USD", "cost", lambda case: case.money.month_usd)
        panels[2].yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
        handles, labels = panels[2].get_legend_handles_labels()
        panels[0].legend(handles, labels, loc="upper left", labelspacing=0.7)
        _caption(figure, "Phases of growth: what they provide, and what they take", note)
    return figure


def _phase_panel(panel: Axes, comparisons: Sequence[Comparison], title: str, unit: str, what: str, value: Any) -> None:
    suffix = "_usd" if what == "cost" else ""
    top = 0.0
    labelled = False
    for index, each in enumerate(comparisons):
        low = getattr(each.phase, f"{what}_from{suffix}")
        high = getattr(each.phase, f"{what}_to{suffix}")
        if low is not None and high is not None:
            # A range of a single number is drawn with some height, because it would otherwise be invisible.
            slack = 0.02 * high if what == "cost" else 0.08
            panel.bar(
                index,
                high - low + 2 * slack,
                0.72,
                low - slack,
                color="#D1D5DB",
                lw=0,
                label=None if labelled else "the phase's own figure",
            )
            labelled = True
            top = max(top, high)
        for case, shift, colour, marker, label in (
            (each.by_users, -0.17, GREEN, "o", "its most voice users, busiest hour"),
            (each.by_crowd, 0.17, BLUE, "D", "its most people at once"),
        ):
            height = value(case)
            top = max(top, height)
            panel.plot(index + shift, height, marker, color=colour, ms=8, label=label if index == 0 else None)
            panel.annotate(
                f"{height:,.0f}",
                (index + shift, height),
                xytext=(0, 7 if shift > 0 else -16),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=colour,
            )
    names = [str(each.phase).replace(" ", "\n", 1) for each in comparisons]
    automatic = [getattr(each.phase, f"{what}_to{suffix}") is None for each in comparisons]
    names = [name + "\n(scaled)" * scaled for name, scaled in zip(names, automatic, strict=True)]
    panel.set_xticks(range(len(comparisons)), names)
    panel.set(title=title, ylabel=unit, ylim=(0, top * 1.3), xlim=(-0.6, len(comparisons) - 0.4))
    panel.grid(axis="x", visible=False)


def scale(cases: Sequence[tuple[float, Case]], note: str) -> Figure:
    """Draw machines and cost against the number of chat users.

    ``cases``: pairs of a number of chat users and the plan for it, in ascending order.
    ``note``: the text below the panels.
    """
    import matplotlib.pyplot as plt

    users = [count for count, _case in cases]
    with plt.rc_context(STYLE):
        figure, ((gpus, pods), (month, unit)) = plt.subplots(2, 2, figsize=(10, 7.4), layout="constrained")
        _grow(gpus, cases, "T4 GPUs", "GPUs", lambda case: case.machines.gpus)
        for name in DEPLOYMENTS:
            counts = [case.machines.pods[name] + OFFSET[name] for _, case in cases]
            pods.plot(users, counts, "o", ls=DASHES[name], color=COLOUR[name], ms=5, label=NAME[name])
        most = max(case.machines.largest_deployment for _, case in cases)
        pods.set(title="API pods of each deployment", ylabel="pods", ylim=(0, most * 1.3))
        pods.legend(loc="lower right", ncols=3)
        for panel in (gpus, pods):
            panel.yaxis.set_major_locator(_whole())
        _grow(month, cases, "Cost a month", "USD", lambda case: case.money.month_usd)
        month.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
        _unit_costs(unit, cases)
        for panel in (gpus, pods, month, unit):
            panel.set_xscale("log")
            ticks = [count for count in (20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000) if count <= users[-1]]
            panel.set_xticks(ticks, [_short(count) for count in ticks])
            panel.minorticks_off()
            panel.set_xlabel("chat users, log scale")
        _caption(figure, f"From the first users to {users[-1]:,.0f}", note)
    return figure


def _grow(panel: Axes, cases: Sequence[tuple[float, Case]], title: str, unit: str, value: Any) -> None:
    heights = [value(case) for _, case in cases]
    panel.plot([count for count, _ in cases], heights, "s-", color=GREEN if unit == "GPUs" else GREY, ms=6)
    panel.set(title=title, ylabel=unit, ylim=(0, 1.2 * max(heights)))


def _unit_costs(panel: Axes, cases: Sequence[tuple[float, Case]]) -> None:
    from usage.scorecard import GOAL, Metric

    users = [count for count, _case in cases]
    lines: Any = (
        (ASR, Metric.AUDIO_HOUR_COST, "hour of audio", [case.money.audio_hour_usd for _, case in cases]),
        (
            TTS,
            Metric.THOUSAND_CHARACTERS_COST,
            "1,000 characters",
            [case.money.thousand_characters_usd for _, case in cases],
        ),
    )
    for kind, metric, label, values in lines:
        panel.plot(users, values, "o", ls=DASHES[kind], color=COLOUR[kind], label=label)
        target = GOAL[metric].launch.below
        if target is not None:
            panel.axhline(target, color=COLOUR[kind], lw=1, ls=":")
            panel.annotate(
                f"target {target:g}",
                (0, target),
                xycoords=("axes fraction", "data"),
                xytext=(4, 3),
                textcoords="offset points",
                color=COLOUR[kind],
                fontsize=9,
            )
    panel.set_yscale("log")
    panel.set(title="Cost per unit, and the launch's targets", ylabel="USD, log scale")
    panel.yaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    panel.legend(loc="upper right")


def _whole() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _short(users: float) -> str:
    return f"{users / 1e6:g} M" if users >= 1e6 else f"{users / 1000:g} k"
