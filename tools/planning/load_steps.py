"""Simulate a load that grows step by step, and compare when two autoscalers add pods.

The required autoscaler follows CPU use only. A user who waits for a GPU uses no CPU, so this autoscaler does not notice
the load. The other autoscaler also uses the metric of ``k8s/components/scale-by-users``: people with work in flight per
pod.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.percentiles import percentile
from tools.planning import hpa
from tools.planning.plan import Planner
from tools.planning.rates import DEPLOYMENTS, KINDS
from tools.planning.simulation.cluster import Interval, Run, Shape
from tools.planning.simulation.load import Stay, simulate_crowd

STEP_S = 600.0
WAIT_S = 3.0  # how long a request may wait before it is refused: the default of VOICE_ASR_WAIT_S
USERS_PER_POD = 25  # the target in k8s/components/scale-by-users
SCALERS = {
    "as required: by CPU": hpa.API,
    "with the second metric: by CPU and users": replace(hpa.API, users_per_pod=USERS_PER_POD),
}


@dataclass(frozen=True)
class Step:
    """The second half of a step of the load. The first half is left out, because new pods need time to start.

    ``users``: the number of people at once in this step.
    ``intervals``: the results of each minute of the second half.
    """

    users: int
    intervals: Sequence[Interval]


def simulate_steps(planner: Planner, users: Sequence[int], gpus: int) -> dict[str, Run]:
    """Simulate all steps once with each autoscaler, and return the runs with the keys of ``SCALERS``.

    ``users``: the number of people at once in each step of ``STEP_S`` seconds.
    ``gpus``: the number of GPUs.
    """
    stays = list(_stays(users))
    runs = {}
    for name, scaling in SCALERS.items():
        shape = Shape(
            gpus,
            dict.fromkeys(DEPLOYMENTS, scaling.least),
            pod_cores=planner.targets.pod_cores,
            burst_cores=planner.targets.pod_limit_cores,
            scaling=scaling,
            deadline_s=WAIT_S,
        )
        runs[name] = simulate_crowd(
            replace(planner.crowd, users=len(stays)),
            planner.use,
            planner.rates,
            shape,
            seconds=STEP_S * len(users),
            stays=stays,
            warm_up_s=0,
            seed=planner.seed,
        )
    return runs


def _stays(users: Sequence[int]) -> Iterator[Stay]:
    """Yield the arrival and departure of each person. If the number of people falls, the last to arrive leave first."""
    came: list[float] = []
    for number, (before, now) in enumerate(itertools.pairwise([0, *users])):
        at = STEP_S * number
        came += [at] * (now - before)
        while len(came) > now:
            yield Stay(came.pop(), at)
    yield from (Stay(at) for at in came)


def by_step(run: Run, users: Sequence[int]) -> list[Step]:
    """Return the second half of each step of a run."""
    minutes = int(STEP_S // 60)
    return [
        Step(count, run.intervals[number * minutes + minutes // 2 : (number + 1) * minutes])
        for number, count in enumerate(users)
    ]


def in_words(runs: dict[str, Run], users: Sequence[int]) -> Iterator[str]:
    """Yield lines of text for each autoscaler: a table of the second half of each step, then the changes it made."""
    for name, run in runs.items():
        yield f"The autoscaler {name}"
        heads = "".join(
            f"{f'{deployment} {what}':>14}" for deployment in DEPLOYMENTS for what in ("CPU %", "users", "pods")
        )
        yield f"{'people':>8}{heads}{'GPU %':>8}{'p95 s ASR/TTS':>16}{'refused':>9}"
        for step in by_step(run, users):
            cells = "".join(
                f"{statistics.fmean(part.pod_percent[deployment] for part in step.intervals):>14.0f}"
                f"{statistics.fmean(part.users_per_pod[deployment] for part in step.intervals):>14.1f}"
                f"{step.intervals[-1].pods[deployment]:>14}"
                for deployment in DEPLOYMENTS
            )
            experience = " / ".join(f"{_p95(step, kind):.1f}" for kind in KINDS)
            arrivals = sum(part.arrivals for part in step.intervals)
            refused = 100 * sum(part.refused for part in step.intervals) / max(1, arrivals)
            gpu = statistics.fmean(part.gpu_percent for part in step.intervals)
            yield f"{step.users:>8}{cells}{gpu:>8.0f}{experience:>16}{refused:>8.1f}%"
        for change in run.changes:
            minute = f"{int(change.at_s) // 60:02d}:{int(change.at_s) % 60:02d}"
            yield f"  {minute}  {change.deployment} pods {change.before} → {change.after}"
        if not run.changes:
            yield "  it changes nothing"


def _p95(step: Step, kind: str) -> float:
    return percentile([seconds for part in step.intervals for seconds in part.latencies_s[kind]], 95)
