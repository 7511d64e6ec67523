"""Check whether the machines and the budget of each phase of growth are enough, by comparing them with the plan.

A phase of growth is a range of numbers of users, with the machines and the monthly budget that are meant for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from capacity.models import Phase
from tools.planning.demand import Demand
from tools.planning.plan import Case, Machines, NoFeasiblePlan, Planner
from tools.planning.rates import DEPLOYMENTS
from usage.targets import TARGETS_OF, Metric, Target, Verdict

LAUNCH = 1  # number of the phase to which the scorecard's launch targets apply


@dataclass(frozen=True)
class PhaseLimits:
    """The upper limits of a phase of growth.

    ``users``: the number of voice users.
    ``concurrent``: the number of concurrent users.
    ``is_extended``: whether the phase itself lacks one of these limits. The missing limit is then computed with the
    previous phase's ratio of users to concurrent users.
    """

    users: int
    concurrent: int
    is_extended: bool


@dataclass(frozen=True)
class Comparison:
    """A phase of growth compared with the plan for its upper limits.

    ``phase``: the phase.
    ``limits``: the upper limits of the phase.
    ``by_users``: the plan for the highest number of voice users.
    ``by_crowd``: the plan for the highest number of concurrent users.
    ``provided``: the machines that the phase specifies; None if it autoscales.
    ``reasons``: why the machines or the budget of the phase are not enough; empty if they are.
    """

    phase: Phase
    limits: PhaseLimits
    by_users: Case
    by_crowd: Case
    provided: Machines | None
    reasons: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.reasons

    @property
    def month_usd(self) -> float:
        """The monthly cost of the more expensive of the two plans, in US dollars."""
        return max(self.by_users.money.month_usd, self.by_crowd.money.month_usd)

    def in_words(self) -> str:
        if self.fits:
            return f"{self.phase}: fits"
        return f"{self.phase}: does not fit: {'; '.join(self.reasons)}"


def phase_limits(phases: list[Phase]) -> list[PhaseLimits]:
    """Return the upper limits of each phase, in order.

    A missing limit is computed with the previous phase's ratio of users to concurrent users. If both are missing, the
    limit of users is the number at which the phase begins. Raise ``ValueError`` if the first phase lacks a limit.
    """
    ends: list[PhaseLimits] = []
    for phase in phases:
        if phase.users_to is not None and phase.concurrent_to is not None:
            ends.append(PhaseLimits(phase.users_to, phase.concurrent_to, is_extended=False))
            continue
        if not ends:
            raise ValueError(f"{phase} has no end")
        per_concurrent = ends[-1].users / max(1, ends[-1].concurrent)
        if phase.concurrent_to is not None:
            users = round(max(phase.users_from, phase.concurrent_to * per_concurrent))
            ends.append(PhaseLimits(users, phase.concurrent_to, is_extended=True))
        else:
            users = phase.users_to or phase.users_from
            ends.append(PhaseLimits(users, max(phase.concurrent_from, round(users / per_concurrent)), is_extended=True))
    return ends


def compare(planner: Planner, phase: Phase, limits: PhaseLimits) -> Comparison:
    """Plan for the upper limits of a phase, and compare the phase's machines and budget with the plan.

    Raise ``NoFeasiblePlan`` if no plausible number of machines is enough.
    """
    demand: Demand = replace(planner.use, users=float(limits.users), voice_share=1.0)
    by_users = planner.by_users(f"{phase}: {limits.users:,} voice users", demand)
    by_crowd = planner.by_crowd(f"{phase}: {limits.concurrent:,} at once", limits.concurrent)
    provided = None
    reasons: list[str] = []
    if phase.gpus_to is not None and phase.pods_to is not None:
        provided = Machines(phase.gpus_to, dict.fromkeys(DEPLOYMENTS, phase.pods_to))
        for case in (by_users, by_crowd):
            reasons += _lacking(case, provided)
    month = max(by_users.money.month_usd, by_crowd.money.month_usd)
    if phase.cost_to_usd is not None and month > phase.cost_to_usd:
        reasons.append(f"{month:,.0f} USD a month are more than {phase.cost_to_usd:,}")
    return Comparison(phase, limits, by_users, by_crowd, provided, tuple(reasons))


def _lacking(case: Case, provided: Machines) -> list[str]:
    words = case.name.split(": ", 1)[1]
    lacking: list[str] = []
    if case.machines.gpus > provided.gpus:
        lacking.append(f"{words} take {case.machines.gpus} GPUs, not {provided.gpus}")
    return lacking + [
        f"{words} take {case.machines.pods[name]} {name} pods, not {provided.pods[name]}"
        for name in DEPLOYMENTS
        if case.machines.pods[name] > provided.pods[name]
    ]


SPEED_FACTORS = (0.05, 0.1, 0.25, 0.5, 1.0, 4.0, 16.0)


@dataclass(frozen=True)
class Estimate:
    """The machines that a phase needs if a T4 is ``factor`` times as fast as the measured device.

    ``factor``: the assumed speed of a T4 relative to the measured device.
    ``gpus``: the number of GPUs; None if no number is enough.
    ``month_usd``: the monthly cost of all machines in US dollars; None if no number is enough.
    """

    factor: float
    gpus: int | None
    month_usd: float | None


def estimates(planner: Planner, limits: PhaseLimits) -> list[Estimate]:
    """Return the machines that a phase needs for each of ``SPEED_FACTORS``.

    These estimates are for a GPU that has not been measured.
    """
    found = []
    for factor in SPEED_FACTORS:
        rates = planner.rates.faster(factor, f"times {factor:g}")
        other = Planner(rates, planner.use, planner.targets, planner.prices, planner.crowd, seed=planner.seed)
        try:
            machines, money = other.by_work(
                replace(planner.use, users=float(limits.users), voice_share=1.0), limits.concurrent
            )
        except NoFeasiblePlan:
            found.append(Estimate(factor, None, None))
        else:
            found.append(Estimate(factor, machines.gpus, money.month_usd))
    return found


@dataclass(frozen=True)
class UnitCost:
    """One of the scorecard's two unit costs in US dollars: that of an hour of audio, or that of 1000 characters.

    ``name``: the name of the metric.
    ``value``: the cost of a unit; None without monthly use.
    ``floor``: the cost of the machine time of a unit alone, at the highest allowed utilisation.
    ``target``: the scorecard's target.
    ``verdict``: whether the value meets the target.
    ``needed``: how many units per month the same machines must serve to meet the target; None if they cannot.
    """

    name: str
    value: float | None
    floor: float
    target: Target
    verdict: Verdict
    needed: float | None


def unit_costs(case: Case, *, is_launch: bool) -> list[UnitCost]:
    """Return the two unit costs of a plan: the cost of an hour of audio, and that of 1000 characters.

    ``is_launch``: whether the launch targets apply instead of the growth targets.
    """
    money = case.money
    found = []
    for metric, value, floor, total in (
        (Metric.AUDIO_HOUR_COST, money.audio_hour_usd, money.audio_hour_floor_usd, money.asr_usd),
        (
            Metric.THOUSAND_CHARACTERS_COST,
            money.thousand_characters_usd,
            money.thousand_characters_floor_usd,
            money.tts_usd,
        ),
    ):
        targets = TARGETS_OF[metric]
        target = targets.launch if is_launch or targets.growth is None else targets.growth
        limit = target.below
        needed = total / limit if limit and floor < limit else None
        found.append(UnitCost(targets.name, value, floor, target, target.verdict(value), needed))
    return found
