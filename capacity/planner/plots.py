"""Pictures of a plan, for people who decide. Needs matplotlib (requirements-dev).

Colours are Okabe and Ito's, which colour-blind readers tell apart; what belongs to a kind is drawn in its colour and
its own dashes everywhere. Time is local.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.planner.demand import SECONDS_PER_HOUR
from capacity.planner.growth import Comparison
from capacity.planner.plan import Case
from capacity.planner.rates import ASR, KINDS, TTS
from capacity.simulation.closed import percentile
from capacity.simulation.cluster import SLICE_S, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6B7280"
COLOUR, DASHES = {ASR: BLUE, TTS: ORANGE}, {ASR: "-", TTS: (0, (4, 1.5))}
NAME = {ASR: "speech to text", TTS: "text to speech"}
STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": "#9CA3AF", "axes.labelcolor": "#374151", "xtick.color": "#374151", "ytick.color": "#374151",
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.grid": True, "grid.color": "#E5E7EB",
    "axes.axisbelow": True, "legend.frameon": False, "legend.fontsize": 9, "svg.fonttype": "none", "svg.hashsalt": "plan",
    "figure.dpi": 110, "savefig.dpi": 150,
}  # fmt: skip
SMOOTH = 5  # minutes that a percentile is taken over


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """As PNG and SVG, the same bytes for the same plan."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(paths[0], metadata={"Software": None})
    figure.savefig(paths[1], metadata={"Date": None})
    return paths


def timeline(run: Run, title: str, note: str, *, goals_s: dict[str, float], in_minutes: bool = False) -> Figure:
    """Arrivals, people at once, pods and the 95th percentile, under each other."""
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            4, 1, figsize=(9, 10.2), sharex=True, height_ratios=(1, 1, 1, 1.25), layout="constrained"
        )
        minutes = np.arange(len(run.slices)) + 0.5
        at = minutes if in_minutes else run.start_h + minutes / 60
        _arrivals(panels[0], run, at)
        _people(panels[1], run, at)
        _pods(panels[2], run, at, in_minutes=in_minutes)
        _p95(panels[3], run, at, goals_s)
        if in_minutes:
            panels[3].set_xlabel("minutes")
            panels[3].set_xlim(0, len(run.slices))
        else:
            first, last = run.start_h, run.start_h + len(run.slices) / 60
            step = 2 if last - first > 12 else 1
            hours = np.arange(first, last + 1e-9, step)
            panels[3].set_xticks(hours, [f"{int(hour) % 24:02d}:00" for hour in hours])
            panels[3].set_xlim(first, last)
            panels[3].set_xlabel("time of day in Malaysia")
        figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
        figure.text(0.012, -0.005, note, fontsize=8.5, color=GREY, va="top")
    return figure


def _arrivals(panel: Axes, run: Run, at: Any) -> None:
    panel.fill_between(at, [part.arrivals / SLICE_S for part in run.slices], step="mid", color=GREEN, alpha=0.35, lw=0)
    panel.plot(at, _rolling([part.arrivals / SLICE_S for part in run.slices]), color=GREEN, lw=1.6)
    panel.set(title="Requests and live units", ylabel="a second", ylim=(0, None))


def _people(panel: Axes, run: Run, at: Any) -> None:
    panel.step(at, [part.users for part in run.slices], where="mid", color=GREY, lw=1.2)
    panel.set(title="People being served at once, the most in each minute", ylabel="people", ylim=(0, None))


def _pods(panel: Axes, run: Run, at: Any, *, in_minutes: bool) -> None:
    offset = {ASR: 0.04, TTS: -0.04}  # so that equal numbers do not hide each other
    for kind in KINDS:
        ready = np.array([part.pods[kind] for part in run.slices], float) + offset[kind]
        panel.step(at, ready, where="mid", color=COLOUR[kind], ls=DASHES[kind], lw=2, label=f"{NAME[kind]}, ready")
        wanted = np.array([part.wanted[kind] for part in run.slices], float) + offset[kind]
        if (wanted > ready).any():
            panel.fill_between(
                at, ready, wanted, step="mid", color=COLOUR[kind], alpha=0.25, lw=0, label=f"{NAME[kind]}, starting"
            )
    for change in run.changes:
        moment = change.at_s / 60 if in_minutes else run.start_h + change.at_s / SECONDS_PER_HOUR
        panel.plot(
            [moment], [change.after + offset[change.deployment]], marker="^" if change.after > change.before else "v",
            color=COLOUR[change.deployment], ms=6, mec="white", mew=0.6, zorder=5,
        )  # fmt: skip
    most = max(max(part.wanted.values()) for part in run.slices)
    panel.set(ylim=(0, most + 1.2), ylabel="pods")
    panel.set_title(
        "API pods, and when the autoscaler adds (▲) or takes away (▼)" if run.changes else "API pods: no change"
    )
    panel.yaxis.set_major_locator(_whole())
    panel.legend(ncols=4, loc="upper left", borderaxespad=0.1)


def _p95(panel: Axes, run: Run, at: Any, goals_s: dict[str, float]) -> None:
    highest = 0.0
    for kind in KINDS:
        values = _rolling_p95(run, kind)
        highest = max(highest, float(np.nanmax(values)) if np.isfinite(values).any() else 0.0)
        panel.plot(at, values, color=COLOUR[kind], ls=DASHES[kind], lw=1.8, label=NAME[kind])
    for kind in KINDS:
        panel.axhline(goals_s[kind], color=COLOUR[kind], lw=1, ls=":")
        panel.annotate(
            f"goal {goals_s[kind]:g} s", (1, goals_s[kind]), xycoords=("axes fraction", "data"), xytext=(-4, 3),
            textcoords="offset points", ha="right", color=COLOUR[kind], fontsize=9,
        )  # fmt: skip
    panel.set_yscale("log")
    panel.set_ylim(0.01, max(10.0, 2 * highest))
    ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if tick <= max(10.0, 2 * highest)]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.set(title=f"95 % are answered within (over {SMOOTH} minutes)", ylabel="seconds, log scale")
    refused = sum(part.refused for part in run.slices)
    panel.legend(ncols=2, loc="upper left", title=f"refused: {refused:,} of {run.arrivals:,}", alignment="left")


def _rolling(values: Sequence[float], width: int = 15) -> Any:
    window = np.ones(min(width, len(values)))
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def _rolling_p95(run: Run, kind: str) -> Any:
    """NaN where nobody asked."""
    half = SMOOTH // 2
    values = []
    for index in range(len(run.slices)):
        near = run.slices[max(0, index - half) : index + half + 1]
        values.append(percentile([seconds for part in near for seconds in part.latencies_s[kind]], 95))
    return np.array(values)


def phases(comparisons: Sequence[Comparison], note: str) -> Figure:
    """What each phase provides, and what its two upper ends take."""
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 3, figsize=(11, 4.8), layout="constrained")
        _phase_panel(panels[0], comparisons, "T4 GPUs", "GPUs", "gpus", lambda case: case.machines.gpus)
        _phase_panel(
            panels[1], comparisons, "API pods of the larger deployment", "pods", "pods",
            lambda case: case.machines.largest_deployment,
        )  # fmt: skip
        _phase_panel(panels[2], comparisons, "Cost a month", "USD", "cost", lambda case: case.money.month_usd)
        panels[2].yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
        handles, labels = panels[2].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
        figure.suptitle(
            "Phases of growth: what is planned for, and what it takes",
            x=0.01,
            ha="left",
            fontsize=14,
            fontweight="bold",
        )
        figure.text(0.012, -0.01, note, fontsize=8.5, color=GREY, va="top")
    return figure


def _phase_panel(panel: Axes, comparisons: Sequence[Comparison], title: str, unit: str, what: str, value: Any) -> None:
    suffix = "_usd" if what == "cost" else ""
    top = 0.0
    labelled = False
    for index, each in enumerate(comparisons):
        low, high = getattr(each.phase, f"{what}_from{suffix}"), getattr(each.phase, f"{what}_to{suffix}")
        if low is not None and high is not None:
            # What is exactly one number gets some height, so that it can be seen.
            slack = 0.02 * high if what == "cost" else 0.08
            panel.bar(
                index, high - low + 2 * slack, 0.72, low - slack, color="#D1D5DB", lw=0,
                label=None if labelled else "the phase's own figure",
            )  # fmt: skip
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
                f"{height:,.0f}", (index + shift, height), xytext=(0, 7), textcoords="offset points", ha="center",
                fontsize=9, color=colour,
            )  # fmt: skip
    for index, each in enumerate(comparisons):
        if getattr(each.phase, f"{what}_to{suffix}") is None:
            panel.annotate(
                "scaled\nautomatically", (index, 0.015 * top), ha="center", va="bottom", color=GREY, fontsize=8
            )
    panel.set_xticks(range(len(comparisons)), [str(each.phase).replace(" ", "\n", 1) for each in comparisons])
    panel.set(title=title, ylabel=unit, ylim=(0, top * 1.18), xlim=(-0.6, len(comparisons) - 0.4))
    panel.grid(axis="x", visible=False)


def scale(cases: Sequence[tuple[float, Case]], note: str) -> Figure:
    """Machines and money from a few users to a million."""
    import matplotlib.pyplot as plt

    users = [count for count, _case in cases]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 3, figsize=(11, 4.6), layout="constrained")
        machines, month, unit = panels
        machines.plot(users, [case.machines.gpus for _, case in cases], "s-", color=GREEN, label="T4 GPUs")
        for kind in KINDS:
            pods = [case.machines.pods[kind] for _, case in cases]
            machines.plot(users, pods, "o", ls=DASHES[kind], color=COLOUR[kind], label=f"{NAME[kind]} pods")
        most = max(max(case.machines.gpus, case.machines.largest_deployment) for _, case in cases)
        machines.set(title="Machines", ylabel="number", ylim=(0, most * 1.45))
        machines.yaxis.set_major_locator(_whole())
        machines.legend(loc="upper left")
        month.plot(users, [case.money.month_usd for _, case in cases], "o-", color=GREY)
        month.set(title="Cost a month", ylabel="USD", ylim=(0, 1.15 * max(case.money.month_usd for _, case in cases)))
        month.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
        _unit_costs(unit, cases)
        for panel in panels:
            panel.set_xscale("log")
            panel.set_xticks([users[0], 100_000, users[-1]], [_short(users[0]), "100 k", _short(users[-1])])
            panel.minorticks_off()
            panel.set_xlabel("chat users, log scale")
        figure.suptitle("From the first users to 1,000,000", x=0.01, ha="left", fontsize=14, fontweight="bold")
        figure.text(0.012, -0.01, note, fontsize=8.5, color=GREY, va="top")
    return figure


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
                f"target {target:g}", (0, target), xycoords=("axes fraction", "data"), xytext=(4, 3),
                textcoords="offset points", color=COLOUR[kind], fontsize=9,
            )  # fmt: skip
    panel.set_yscale("log")
    panel.set(title="Cost of one", ylabel="USD, log scale")
    panel.yaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    panel.legend(loc="upper right")


def _whole() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _short(users: float) -> str:
    return f"{users / 1e6:g} M" if users >= 1e6 else f"{users / 1000:g} k"
