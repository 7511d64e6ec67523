"""Compare the plan with the phases of growth: are their machines enough, and is their budget?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from capacity.models import Phase
from tools.planning.demand import Demand
from tools.planning.plan import Case, Machines, Planner, TooMuch
from tools.planning.rates import DEPLOYMENTS
from usage.scorecard import GOAL, Metric, Target, Verdict

LAUNCH = 1  # number of the phase to which the scorecard's launch targets apply


@dataclass(frozen=True)
class Upper:
    """The upper limits of a phase.

    ``users``: voice users.
    ``concurrent``: people at once.
    ``is_extended``: True if the phase lacks a limit. The missing one is then computed from the users per concurrent
    user of the phase before.
    """

    users: int
    concurrent: int
    is_extended: bool


@dataclass(frozen=True)
class Comparison:
    """A phase compared with the plan.

    ``upper``: the phase's upper limits.
    ``by_users``: the plan for its most voice users.
    ``by_crowd``: the plan for its most people at once.
    ``provided``: the machines that the phase specifies; None if it autoscales.
    ``reasons``: why the phase does not fit; empty if it fits.
    """

    phase: Phase
    upper: Upper
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


def upper_ends(phases: list[Phase]) -> list[Upper]:
    """Return the upper limits of each phase, in order.

    A missing limit is computed from the ratio of users to concurrent users in the phase before it. Raises
    ``ValueError`` if the first phase lacks a limit.
    """
    ends: list[Upper] = []
    for phase in phases:
        if phase.users_to is not None and phase.concurrent_to is not None:
            ends.append(Upper(phase.users_to, phase.concurrent_to, is_extended=False))
            continue
        if not ends:
            raise ValueError(f"{phase} has no end")
        per_concurrent = ends[-1].users / max(1, ends[-1].concurrent)
        if phase.concurrent_to is not None:
            users = round(max(phase.users_from, phase.concurrent_to * per_concurrent))
            ends.append(Upper(users, phase.concurrent_to, is_extended=True))
        else:
            users = phase.users_to or phase.users_from
            ends.append(Upper(users, max(phase.concurrent_from, round(users / per_concurrent)), is_extended=True))
    return ends


def compare(planner: Planner, phase: Phase, upper: Upper) -> Comparison:
    """Plan for a phase's upper limits and compare the plan with what the phase provides. Raises ``TooMuch``."""
    demand: Demand = replace(planner.use, users=float(upper.users), voice_share=1.0)
    by_users = planner.by_users(f"{phase}: {upper.users:,} voice users", demand)
    by_crowd = planner.by_crowd(f"{phase}: {upper.concurrent:,} at once", upper.concurrent)
    provided = None
    reasons: list[str] = []
    if phase.gpus_to is not None and phase.pods_to is not None:
        provided = Machines(phase.gpus_to, dict.fromkeys(DEPLOYMENTS, phase.pods_to))
        for case in (by_users, by_crowd):
            reasons += _lacking(case, provided)
    month = max(by_users.money.month_usd, by_crowd.money.month_usd)
    if phase.cost_to_usd is not None and month > phase.cost_to_usd:
        reasons.append(f"{month:,.0f} USD a month are more than {phase.cost_to_usd:,}")
    return Comparison(phase, upper, by_users, by_crowd, provided, tuple(reasons))


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
    """What a phase needs if a T4 is ``factor`` times as fast as the measured device.

    ``gpus`` and ``month_usd`` are None if no number of machines is enough.
    """

    factor: float
    gpus: int | None
    month_usd: float | None


def estimates(planner: Planner, upper: Upper) -> list[Estimate]:
    """Return what a phase needs for each of ``SPEED_FACTORS``, for a GPU that has not been measured."""
    found = []
    for factor in SPEED_FACTORS:
        rates = planner.rates.faster(factor, f"times {factor:g}")
        other = Planner(rates, planner.use, planner.goals, planner.prices, planner.crowd, seed=planner.seed)
        try:
            machines, money = other.by_work(
                replace(planner.use, users=float(upper.users), voice_share=1.0), upper.concurrent
            )
        except TooMuch:
            found.append(Estimate(factor, None, None))
        else:
            found.append(Estimate(factor, machines.gpus, money.month_usd))
    return found


@dataclass(frozen=True)
class UnitCost:
    """One of the scorecard's unit costs: an hour of audio or 1000 characters, in US dollars.

    ``name``: the metric's name.
    ``value``: the cost of a unit; None without monthly use.
    ``floor``: the cost of the machine time alone, at the highest allowed utilisation.
    ``target``: the scorecard's target.
    ``verdict``: whether the value meets the target.
    ``needed``: units per month from which the same machines meet the target; None if the floor is above the target.
    """

    name: str
    value: float | None
    floor: float
    target: Target
    verdict: Verdict
    needed: float | None


def unit_costs(case: Case, *, is_launch: bool) -> list[UnitCost]:
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
        goal = GOAL[metric]
        target = goal.launch if is_launch or goal.growth is None else goal.growth
        limit = target.below
        needed = total / limit if limit and floor < limit else None
        found.append(UnitCost(goal.name, value, floor, target, target.verdict(value), needed))
    return found
