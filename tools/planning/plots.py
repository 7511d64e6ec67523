"""Draw the charts of a plan. This needs matplotlib (requirements-dev).

The colours are from the palette of Okabe and Ito, which colour-blind readers can tell apart. Each kind of work has the
same colour and line style in every chart. Times are local times.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from tools.planning.growth import Comparison
from tools.planning.plan import Case
from tools.planning.rates import ASR, DEPLOYMENTS, LIVE, TTS

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


def caption(figure: Figure, title: str, note: str) -> None:
    """Add a title at the top, and the wrapped note at the bottom."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
    lines = [line for part in note.split("\n") for line in wrap(part, round(14.5 * figure.get_figwidth()))]
    figure.supxlabel("\n".join(lines), x=0.012, ha="left", fontsize=8.5, color=GREY)


def phases(comparisons: Sequence[Comparison], note: str) -> Figure:
    """Return a figure that compares each phase's own machines and cost with those needed at the phase's limits."""
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
        caption(figure, "Phases of growth: what they provide, and what they take", note)
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
    """Return a figure of machines and cost against the number of chat users.

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
            panel.yaxis.set_major_locator(whole_numbers())
        _grow(month, cases, "Cost a month", "USD", lambda case: case.money.month_usd)
        month.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
        _unit_costs(unit, cases)
        for panel in (gpus, pods, month, unit):
            panel.set_xscale("log")
            ticks = [count for count in (20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000) if count <= users[-1]]
            panel.set_xticks(ticks, [_short(count) for count in ticks])
            panel.minorticks_off()
            panel.set_xlabel("chat users, log scale")
        caption(figure, f"From the first users to {users[-1]:,.0f}", note)
    return figure


def _grow(panel: Axes, cases: Sequence[tuple[float, Case]], title: str, unit: str, value: Any) -> None:
    heights = [value(case) for _, case in cases]
    panel.plot([count for count, _ in cases], heights, "s-", color=GREEN if unit == "GPUs" else GREY, ms=6)
    panel.set(title=title, ylabel=unit, ylim=(0, 1.2 * max(heights)))


def _unit_costs(panel: Axes, cases: Sequence[tuple[float, Case]]) -> None:
    from usage.targets import TARGETS_OF, Metric

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
        target = TARGETS_OF[metric].launch.below
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


def whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _short(users: float) -> str:
    return f"{users / 1e6:g} M" if users >= 1e6 else f"{users / 1000:g} k"
