"""Simulate and draw the charts of a plan: a day, a rush, the phases of growth, and a million users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tools.planning import hpa, load_steps, plots, timeline_plots
from tools.planning.growth import Comparison
from tools.planning.plan import Case, Planner
from tools.planning.rates import DEPLOYMENTS
from tools.planning.simulation.cluster import Run, Shape
from tools.planning.simulation.load import Stay, simulate, simulate_crowd

MILLION = 1_000_000
SCALE = (20_000, 50_000, 100_000, 200_000, 350_000, 500_000, 700_000, MILLION)
EVENING = (18.0, 24.0)
# The times of a rush, in minutes. RUSH_BASE people are present all the time. The others arrive from minute 5 to minute
# 15 and leave from minute 35 to minute 45. The simulation ends at minute 65.
RUSH_MINUTES = (5, 15, 35, 45, 65)
RUSH_BASE = 50


def draw(planner: Planner, asked: Case, comparisons: Sequence[Comparison], folder: Path) -> Iterator[Path]:
    """Draw all charts, and yield the path of each file as soon as it is written.

    Some charts take a minute to simulate.

    ``asked``: the plan for the demand that the arguments of the command describe.
    ``comparisons``: the phases of growth compared with the plan; if empty, the charts of a rush and of the phases are
    left out.
    """
    source = sources(planner)
    targets = planner.targets.p95_s
    demand = asked.demand or planner.use
    day = simulate(demand, planner.rates, shape(planner, asked.machines.gpus), seed=planner.seed)
    title = f"A day of {demand.users:,.0f} chat users, {demand.voice_users:,.0f} of them with voice"
    yield from plots.save(timeline_plots.timeline(day, title, source, targets_s=targets), folder, "day")
    if comparisons:
        crowd = comparisons[-1].limits.concurrent
        run = rush(planner, crowd, comparisons[-1].by_crowd.machines.gpus)
        title = f"A rush: {RUSH_BASE} people in conversation, then {crowd:,}, then {RUSH_BASE} again"
        yield from plots.save(
            timeline_plots.timeline(run, title, source, targets_s=targets, in_minutes=True), folder, "rush"
        )
        yield from plots.save(plots.phases(comparisons, source), folder, "phases")
    grown = [
        (float(users), planner.by_users(f"{users:,}", replace(planner.use, users=float(users)))) for users in SCALE
    ]
    yield from plots.save(plots.scale(grown, source), folder, "million")
    most = grown[-1][1]
    demand = replace(planner.use, users=float(MILLION))
    evening = simulate(
        demand,
        planner.rates,
        shape(planner, most.machines.gpus),
        start_h=EVENING[0],
        end_h=EVENING[1],
        seed=planner.seed,
    )
    title = f"The evening of {MILLION:,} chat users, {demand.voice_users:,.0f} of them with voice"
    yield from plots.save(timeline_plots.timeline(evening, title, source, targets_s=targets), folder, "million-evening")


def draw_steps(planner: Planner, runs: Mapping[str, Run], folder: Path) -> list[Path]:
    """Draw the runs of ``load_steps.simulate_steps``, and return the paths of the files."""
    targets = (hpa.API.target_percent, load_steps.USERS_PER_POD)
    return plots.save(timeline_plots.scaled_by(runs, sources(planner), targets), folder, "steps")


def shape(planner: Planner, gpus: int) -> Shape:
    """Return a cluster with ``gpus`` GPUs, and autoscaled deployments that start with the fewest pods allowed.

    As in the manifests, a pod may use more CPU than it requests.
    """
    cores = planner.targets.pod_cores
    return Shape(
        gpus, dict.fromkeys(DEPLOYMENTS, hpa.API.least), pod_cores=cores, burst_cores=planner.targets.pod_limit_cores
    )


def rush(planner: Planner, users: int, gpus: int) -> Run:
    """Simulate a rush, and return the run.

    The number of people in conversation rises to ``users`` and falls again (see ``RUSH_MINUTES``).
    """
    begin, there, until, gone, end = (60.0 * minute for minute in RUSH_MINUTES)
    base = min(RUSH_BASE, users)
    coming = users - base
    stays = [Stay()] * base
    for number in range(coming):
        share = number / max(1, coming)
        stays.append(Stay(begin + share * (there - begin), gone - share * (gone - until)))
    crowd = replace(planner.crowd, users=users)
    return simulate_crowd(
        crowd,
        planner.use,
        planner.rates,
        shape(planner, gpus),
        seconds=end,
        stays=stays,
        warm_up_s=0,
        seed=planner.seed,
    )


def sources(planner: Planner) -> str:
    """Return the caption of a chart: the measured machines and models, and every change made to the rates."""
    rates = planner.rates
    lines = [
        f"Simulated. Engines as measured on {rates.device} ({rates.asr_model}, {rates.tts_engine}), the API on "
        f"{rates.machine}.",
        *(f"{note[0].upper()}{note[1:]}." for note in rates.notes),
    ]
    return "\n".join(lines)
