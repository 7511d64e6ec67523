"""How many machines so much use takes, and what that costs.

The queueing models: an API pod is an M/G/c queue of its cores (Allen–Cunneen), fed by chance with its share of the
requests. A GPU is a server of batches, for which there is no formula worth having: it is simulated, with all the rest,
at the rate of the busiest hour. Machines are added until no pod and no GPU is busier than the bound and both 95th
percentiles are met.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace

from capacity.goals import ASR_P95_S, TTS_P95_S
from core.percentiles import percentile
from tools.planning import hpa
from tools.planning.demand import Demand, RequestRate
from tools.planning.prices import Prices
from tools.planning.queueing import Station
from tools.planning.rates import ASR, DEPLOYMENTS, ENGINE, KINDS, LIVE, TTS, Rates
from tools.planning.simulation.cluster import Crowd, Shape, simulate_steady, sized
from tools.planning.simulation.service import Sizes

P95_S = {ASR: ASR_P95_S, TTS: TTS_P95_S}
REFUSED_SHARE = 0.01  # that the launch's success rate allows
MAX_GPUS = 500
MAX_PODS = 2000
GAIN = 0.97  # machines that help by less than this, so many times running, are not what is missing
PATIENCE = 3
EVENTS = 8_000  # that a steady simulation lasts
SHORTEST_S = 240.0
LONGEST_S = 7200.0


class TooMuch(ValueError):
    """No plausible number of machines is enough."""


@dataclass(frozen=True)
class Goals:
    """``utilisation``: the most that a GPU or a pod is to be busy in the busiest hour, of 1."""

    p95_s: dict[str, float] = field(default_factory=lambda: dict(P95_S))
    utilisation: float = hpa.API.target_percent / 100
    pod_cores: float = 0.5  # that a pod requests, as in k8s/base/api
    pod_limit_cores: float = 2.0  # that it may use
    least_pods: int = hpa.API.least

    def of(self, name: str) -> float:
        """Return the latency goal of a deployment. A live unit has to be answered as soon as a recording."""
        return self.p95_s[ENGINE[name]]


@dataclass(frozen=True)
class Machines:
    """``pods``: of each deployment."""

    gpus: int
    pods: dict[str, int]

    @property
    def largest_deployment(self) -> int:
        return max(self.pods.values())


@dataclass(frozen=True)
class Felt:
    """What users experience in the busiest hour. ``served``: the mean number of people with a request under way or a
    stream open, by Little's law; ``served_most``: the most at once in the simulation. ``talking``: people in
    conversation, including their time to think, which is what load tests count."""

    p95_s: dict[str, float]
    refused_share: float
    gpu_utilisation: float
    pod_utilisation: dict[str, float]
    pod_wait_p95_s: dict[str, float]
    served: float
    served_most: int
    talking: float


@dataclass(frozen=True)
class Money:
    """A month's, in US dollars. ``*_floor_usd``: what the machine time alone costs, were the machines always as busy as
    the bound lets them be. ``*_at_target``: how much use in a month would make the cost per unit meet a target of so
    much."""

    month_usd: float
    asr_usd: float
    tts_usd: float
    audio_hour_usd: float | None
    thousand_characters_usd: float | None
    audio_hour_floor_usd: float
    thousand_characters_floor_usd: float


@dataclass(frozen=True)
class Case:
    """One row of the plan. ``demand`` None: a crowd, which has no month."""

    name: str
    rate: RequestRate
    demand: Demand | None
    machines: Machines
    felt: Felt
    money: Money


class Planner:
    """``use``: how one user uses voice; its number of users does not matter here."""

    def __init__(self, rates: Rates, use: Demand, goals: Goals, prices: Prices, crowd: Crowd, *, seed: int = 1) -> None:
        self.use = use
        self.goals = goals
        self.prices = prices
        self.crowd = crowd
        self.seed = seed
        self.adopt(rates)

    def adopt(self, rates: Rates) -> None:
        """Plan with these rates from now on."""
        self.rates = rates
        self._sized = sized(rates, self.use)

    def by_users(self, name: str, demand: Demand) -> Case:
        """Raises ``TooMuch``."""
        return self._case(name, demand.peak, demand)

    def by_crowd(self, name: str, users: int) -> Case:
        """``users`` at once in conversation, as load tests have them. Raises ``TooMuch``."""
        return self._case(name, self.crowd_rate(users), None)

    def by_work(self, users: Demand, concurrent: int) -> tuple[Machines, Money]:
        """What the larger of two uses takes by its work alone: nothing is simulated, so waits are not looked at. Raises
        ``TooMuch`` where even one alone would be answered too late."""
        late = [kind for kind in KINDS if self.alone_s(kind) > self.goals.of(kind)]
        if late:
            raise TooMuch(f"{', '.join(late)} would not be answered in time on any number of machines")
        crowd = replace(self.use, stream_s=self.crowd.stream_s)
        each = []
        for rate, use, demand in ((users.peak, users, users), (self.crowd_rate(concurrent), crowd, None)):
            machines = Machines(self._gpus(rate, use), {name: self._pods(name, rate, use) for name in DEPLOYMENTS})
            each.append((machines, self.money(rate, demand, use, machines)))
        return max(each, key=lambda one: one[1].month_usd)

    def crowd_rate(self, users: int) -> RequestRate:
        """Return the rate of a crowd's requests if answers take no longer than on an idle machine."""
        asr, tts, live = self.crowd.mix
        alone = {kind: self.alone_s(kind) for kind in KINDS}
        turn = self.crowd.think_s + asr * alone[ASR] + tts * alone[TTS] + live * self.crowd.stream_s
        return RequestRate(*(users / turn * share for share in self.crowd.mix))

    def alone_s(self, kind: str) -> float:
        """Return the time of one request on an idle service; for a live stream, of one unit."""
        of = self._sized.kind(ENGINE[kind])
        live = self.rates.live
        api_s = live.api_s_per_s / live.units_per_s if kind == LIVE else of.processor.api_s
        return api_s + of.batch.seconds(of.batch.cost(of.size))

    def _case(self, name: str, rate: RequestRate, demand: Demand | None) -> Case:
        use = demand or replace(self.use, stream_s=self.crowd.stream_s)
        machines = Machines(self._gpus(rate, use), {name: self._pods(name, rate, use) for name in DEPLOYMENTS})
        best = math.inf
        without_gain = 0
        while True:
            felt = self.felt(rate, use, machines)
            over = {name: felt.p95_s[name] / self.goals.of(name) for name in DEPLOYMENTS}
            late = [name for name in DEPLOYMENTS if not over[name] <= 1]
            if not late and felt.refused_share <= REFUSED_SHARE:
                break
            worst = max(over.values()) + felt.refused_share
            without_gain = 0 if worst < GAIN * best else without_gain + 1
            best = min(best, worst)
            if without_gain >= PATIENCE or any(self.alone_s(name) > self.goals.of(name) for name in late):
                raise TooMuch(
                    f"{name}: {', '.join(late) or 'it'} would not be answered in time on any number of machines"
                )
            machines = self._more(machines, felt, late)
        return Case(name, rate, demand, machines, felt, self.money(rate, demand, use, machines))

    def _more(self, machines: Machines, felt: Felt, late: list[str]) -> Machines:
        """Add a tenth, at least one, of the machines that cause the waits."""
        waits_for_pod = [name for name in late if felt.pod_wait_p95_s[name] > self.goals.of(name) / 2]
        pods = {
            name: count + (math.ceil(count / 10) if name in waits_for_pod else 0)
            for name, count in machines.pods.items()
        }
        return Machines(machines.gpus + (0 if waits_for_pod else math.ceil(machines.gpus / 10)), pods)

    # --- Speech engines ----------------------------------------------------------------------------------------------
    def unit_s(self, kind: str) -> float:
        """Return the least GPU time of one mean request, in full batches."""
        of = self._sized.kind(kind)
        sizes = Sizes(self.seed)
        time = of.batch
        costs = [time.cost(of.size * sizes.factor(of.size_cv)) for _ in range(2000)]
        return statistics.fmean(time.fixed_s / time.limit(cost) + time.per_cost_s * cost for cost in costs)

    def gpu_work(self, rate: RequestRate, use: Demand) -> dict[str, float]:
        """GPUs' worth of work a second, by kind. A live unit counts as a request of its own."""
        units = rate.asr + rate.streams * use.stream_s * self.rates.live.units_per_s
        return {ASR: units * self.unit_s(ASR), TTS: rate.tts * self.unit_s(TTS)}

    def _gpus(self, rate: RequestRate, use: Demand) -> int:
        count = max(1, math.ceil(sum(self.gpu_work(rate, use).values()) / self.goals.utilisation))
        if count > MAX_GPUS:
            raise TooMuch(f"{count:,} GPUs are more than anyone would believe")
        return count

    # --- API pods ----------------------------------------------------------------------------------------------------
    def station(self, name: str, rate: RequestRate, use: Demand, pods: int) -> Station:
        """One pod of that deployment."""
        if name == LIVE:
            live = self.rates.live
            per_second = rate.streams * use.stream_s * live.units_per_s
            mean = live.api_s_per_s / live.units_per_s
            scv = 0.0
        else:
            of = self._sized.kind(name)
            per_second = getattr(rate, name)
            mean = of.processor.api_s
            scv = (math.hypot(of.size_cv, of.effort_cv) * of.processor.pool_s / mean) ** 2
        servers = max(1, round(self.goals.pod_cores))
        # Of less than a core it gets so much that everything takes longer by that.
        return Station(servers, per_second / pods, mean / min(1.0, self.goals.pod_cores), scv)

    def _pods(self, name: str, rate: RequestRate, use: Demand) -> int:
        alone = self.station(name, rate, use, 1)
        pods = max(self.goals.least_pods, math.ceil(alone.utilisation / self.goals.utilisation))
        if pods > MAX_PODS:
            raise TooMuch(f"{pods:,} API pods are more than anyone would believe")
        return pods

    # --- What users feel ---------------------------------------------------------------------------------------------
    def felt(self, rate: RequestRate, use: Demand, machines: Machines) -> Felt:
        per_second = rate.asr + rate.tts + rate.streams * use.stream_s * self.rates.live.units_per_s
        seconds = min(LONGEST_S, max(SHORTEST_S, EVENTS / max(per_second, 1e-9)))
        shape = Shape(
            machines.gpus,
            machines.pods,
            pod_cores=self.goals.pod_cores,
            burst_cores=self.goals.pod_limit_cores,
            scaling=None,
        )
        run = simulate_steady(rate, use, self.rates, shape, seconds=seconds, seed=self.seed)
        stations = {name: self.station(name, rate, use, machines.pods[name]) for name in DEPLOYMENTS}
        streams = rate.streams * use.stream_s
        # With nothing asked: one alone.
        answers = {name: run.latencies(name) or [self.alone_s(name)] for name in DEPLOYMENTS}
        mean = {name: statistics.fmean(found) for name, found in answers.items()}
        served = rate.asr * mean[ASR] + rate.tts * mean[TTS] + streams  # Little's law
        asked = rate.asr + rate.tts + rate.streams
        return Felt(
            p95_s={name: percentile(found, 95) for name, found in answers.items()},
            refused_share=run.refused / max(1, run.arrivals),
            gpu_utilisation=sum(self.gpu_work(rate, use).values()) / machines.gpus,
            pod_utilisation={kind: station.utilisation for kind, station in stations.items()},
            pod_wait_p95_s={kind: station.wait_s(95) for kind, station in stations.items()},
            served=served,
            served_most=max(part.users for part in run.slices),
            talking=served + asked * self.crowd.think_s,
        )

    # --- Money -------------------------------------------------------------------------------------------------------
    def money(self, rate: RequestRate, demand: Demand | None, use: Demand, machines: Machines) -> Money:
        """GPUs are shared by the time that each kind takes of them; pods belong to their deployment."""
        prices = self.prices
        work = self.gpu_work(rate, use)
        share = work[ASR] / (sum(work.values()) or 1.0)
        gpus = machines.gpus * prices.t4_month_usd
        heard = machines.pods[ASR] + machines.pods[LIVE]
        asr = gpus * share + heard * prices.pod_month_usd + prices.other_usd * prices.other_asr_share
        tts = gpus * (1 - share) + machines.pods[TTS] * prices.pod_month_usd
        tts += prices.other_usd * (1 - prices.other_asr_share)
        return Money(
            month_usd=asr + tts,
            asr_usd=asr,
            tts_usd=tts,
            audio_hour_usd=asr / demand.audio_hours_per_month if demand and demand.audio_hours_per_month else None,
            thousand_characters_usd=(
                1000 * tts / demand.characters_per_month if demand and demand.characters_per_month else None
            ),
            audio_hour_floor_usd=self._floor_usd(ASR) * 3600 / use.clip_s,
            thousand_characters_floor_usd=self._floor_usd(TTS) * 1000 / use.text_characters,
        )

    def _floor_usd(self, kind: str) -> float:
        """Return the cost of one request's machine time, with the machines as busy as they may be."""
        gpu = self.unit_s(kind) * self.prices.t4_hour_usd / 3600
        pod_second = self.prices.pod_month_usd / (self.prices.t4_month_usd / self.prices.t4_hour_usd * 3600)
        pod = self._sized.kind(kind).processor.api_s / self.goals.pod_cores * pod_second
        return (gpu + pod) / self.goals.utilisation
