"""Compute how many machines a demand needs, and what they cost.

The first estimate follows from the work in the busiest hour: no pod and no GPU may exceed the utilisation target.
The service is then simulated at the request rate of that hour, because no good formula exists for a GPU that serves
batches. Machines are added until the latency targets are met and at most ``REFUSED_SHARE`` of the requests are refused.

The time that requests wait for an API pod is estimated with an M/G/c queue over the cores of the pod (Allen–Cunneen).
Each pod gets a random share of the requests.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace

from capacity.latency_targets import ASR_P95_S, TTS_P95_S
from core.percentiles import percentile
from tools.planning import hpa
from tools.planning.demand import Demand, RequestRate
from tools.planning.prices import Prices
from tools.planning.queueing import Station
from tools.planning.rates import ASR, DEPLOYMENTS, ENGINE, KINDS, LIVE, TTS, Rates
from tools.planning.simulation.cluster import Shape
from tools.planning.simulation.load import Crowd, simulate_steady, sized
from tools.planning.simulation.service import Sizes

P95_S = {ASR: ASR_P95_S, TTS: TTS_P95_S}
REFUSED_SHARE = 0.01  # allowed by the success rate that the scorecard requires at launch
MAX_GPUS = 500
MAX_PODS = 2000
# Adding machines helps if it lowers the worst ratio of latency to target to less than GAIN times the lowest value so
# far. After PATIENCE steps in a row that do not help, the search ends without a plan.
GAIN = 0.97
PATIENCE = 3
EVENTS = 8_000  # arrivals that a steady simulation aims for; the next two constants bound its length
SHORTEST_S = 240.0
LONGEST_S = 7200.0


class NoFeasiblePlan(ValueError):
    """No plausible number of machines meets the targets."""


@dataclass(frozen=True)
class Targets:
    """The targets that the machines must meet, and the size of a pod.

    ``p95_s``: the highest allowed 95th percentile of the latency in seconds, by kind of work.
    ``utilisation``: the highest allowed utilisation of a GPU or pod in the busiest hour, from 0 to 1.
    ``pod_cores``: the CPU request of a pod, as in k8s/base/api.
    ``pod_limit_cores``: the CPU limit of a pod.
    ``min_pods``: the minimum number of pods of a deployment.
    """

    p95_s: dict[str, float] = field(default_factory=lambda: dict(P95_S))
    utilisation: float = hpa.API.target_percent / 100
    pod_cores: float = 0.5
    pod_limit_cores: float = 2.0
    min_pods: int = hpa.API.least

    def of(self, name: str) -> float:
        """Return a deployment's latency target in seconds. Live recognition has the same target as speech to text."""
        return self.p95_s[ENGINE[name]]


@dataclass(frozen=True)
class Machines:
    """The number of GPUs, and the number of pods of each deployment."""

    gpus: int
    pods: dict[str, int]

    @property
    def largest_deployment(self) -> int:
        """The number of pods of the largest deployment."""
        return max(self.pods.values())


@dataclass(frozen=True)
class Experience:
    """What users experience in the busiest hour.

    ``p95_s``: 95th percentile of the latency in seconds, by deployment.
    ``refused_share``: the share of requests that are refused, from 0 to 1.
    ``gpu_utilisation``: the mean utilisation of the GPUs, from 0 to 1.
    ``pod_utilisation``: the utilisation of the pods from 0 to 1, by deployment.
    ``pod_wait_p95_s``: 95th percentile of the wait for a pod in seconds, by deployment.
    ``served``: the mean number of people with a request in progress or an open stream (Little's law).
    ``max_served``: the highest number of such people in the simulation.
    ``talking``: the number of people in conversation, including their think time. Load tests count users in this way.
    """

    p95_s: dict[str, float]
    refused_share: float
    gpu_utilisation: float
    pod_utilisation: dict[str, float]
    pod_wait_p95_s: dict[str, float]
    served: float
    max_served: int
    talking: float


@dataclass(frozen=True)
class Money:
    """The costs of a month and of a unit of work, in US dollars.

    ``month_usd``: all costs of a month.
    ``asr_usd``: the part of ``month_usd`` for speech to text.
    ``tts_usd``: the part of ``month_usd`` for text to speech.
    ``audio_hour_usd``: the cost of an hour of audio; None without monthly use.
    ``thousand_characters_usd``: the cost of 1000 spoken characters; None without monthly use.
    ``audio_hour_floor_usd``: the cost of an hour of audio if machines always had the highest allowed utilisation.
    ``thousand_characters_floor_usd``: the cost of 1000 characters if machines always had that utilisation.
    """

    month_usd: float
    asr_usd: float
    tts_usd: float
    audio_hour_usd: float | None
    thousand_characters_usd: float | None
    audio_hour_floor_usd: float
    thousand_characters_floor_usd: float


@dataclass(frozen=True)
class Case:
    """One row of the plan: a load, the machines for it, and the results.

    ``name``: the name of the row.
    ``rate``: the request rate in the busiest hour.
    ``demand``: the demand; None if only a number of concurrent users was given, which implies no monthly use.
    ``machines``: the machines that the load needs.
    ``experience``: what users experience.
    ``money``: the costs.
    """

    name: str
    rate: RequestRate
    demand: Demand | None
    machines: Machines
    experience: Experience
    money: Money


class Planner:
    """Plans machines for different loads with the same rates, targets and prices.

    ``rates``: the machine time of requests.
    ``use``: how one user uses voice. The number of users in it is ignored.
    ``targets``: the targets that the machines must meet.
    ``prices``: the prices of the machines.
    ``crowd``: how people in conversation behave. The number of users in it is ignored.
    """

    def __init__(
        self, rates: Rates, use: Demand, targets: Targets, prices: Prices, crowd: Crowd, *, seed: int = 1
    ) -> None:
        self.use = use
        self.targets = targets
        self.prices = prices
        self.crowd = crowd
        self.seed = seed
        self.adopt(rates)

    def adopt(self, rates: Rates) -> None:
        """Replace the rates that plans are computed with."""
        self.rates = rates
        self._sized = sized(rates, self.use)

    def by_users(self, name: str, demand: Demand) -> Case:
        """Return a plan for the busiest hour of ``demand``.

        Raise ``NoFeasiblePlan`` if no plausible number of machines meets the targets.
        """
        return self._case(name, demand.peak, demand)

    def by_crowd(self, name: str, users: int) -> Case:
        """Return a plan for ``users`` people in conversation at once, as load tests count users.

        Raise ``NoFeasiblePlan`` if no plausible number of machines meets the targets.
        """
        return self._case(name, self.crowd_rate(users), None)

    def by_work(self, users: Demand, concurrent: int) -> tuple[Machines, Money]:
        """Return machines and costs from utilisation alone, for the more expensive of two loads.

        The loads are the busiest hour of ``users``, and ``concurrent`` people in conversation. Nothing is simulated, so
        waiting times are ignored.

        Raise ``NoFeasiblePlan`` if even a request to an idle service would miss its latency target.
        """
        late = [kind for kind in KINDS if self.alone_s(kind) > self.targets.of(kind)]
        if late:
            raise NoFeasiblePlan(f"{', '.join(late)} would not be answered in time on any number of machines")
        crowd = replace(self.use, stream_s=self.crowd.stream_s)
        each = []
        for rate, use, demand in ((users.peak, users, users), (self.crowd_rate(concurrent), crowd, None)):
            machines = Machines(self._gpus(rate, use), {name: self._pods(name, rate, use) for name in DEPLOYMENTS})
            each.append((machines, self.money(rate, demand, use, machines)))
        return max(each, key=lambda one: one[1].month_usd)

    def crowd_rate(self, users: int) -> RequestRate:
        """Return the request rate of ``users`` people in conversation, if answers are as fast as on an idle service."""
        asr, tts, live = self.crowd.mix
        alone = {kind: self.alone_s(kind) for kind in KINDS}
        turn = self.crowd.think_s + asr * alone[ASR] + tts * alone[TTS] + live * self.crowd.stream_s
        return RequestRate(*(users / turn * share for share in self.crowd.mix))

    def alone_s(self, kind: str) -> float:
        """Return the latency in seconds of one request (or one unit of a live stream) on an idle service."""
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
            experience = self.experience(rate, use, machines)
            over = {name: experience.p95_s[name] / self.targets.of(name) for name in DEPLOYMENTS}
            late = [name for name in DEPLOYMENTS if not over[name] <= 1]
            if not late and experience.refused_share <= REFUSED_SHARE:
                break
            worst = max(over.values()) + experience.refused_share
            without_gain = 0 if worst < GAIN * best else without_gain + 1
            best = min(best, worst)
            if without_gain >= PATIENCE or any(self.alone_s(name) > self.targets.of(name) for name in late):
                raise NoFeasiblePlan(
                    f"{name}: {', '.join(late) or 'it'} would not be answered in time on any number of machines"
                )
            machines = self._more(machines, experience, late)
        return Case(name, rate, demand, machines, experience, self.money(rate, demand, use, machines))

    def _more(self, machines: Machines, experience: Experience, late: list[str]) -> Machines:
        """Return the machines, with a tenth more (at least one) of those that cause the latency: either pods or GPUs.

        ``late``: the deployments that miss their latency targets.
        """
        waits_for_pod = [name for name in late if experience.pod_wait_p95_s[name] > self.targets.of(name) / 2]
        pods = {
            name: count + (math.ceil(count / 10) if name in waits_for_pod else 0)
            for name, count in machines.pods.items()
        }
        return Machines(machines.gpus + (0 if waits_for_pod else math.ceil(machines.gpus / 10)), pods)

    # --- Speech engines ----------------------------------------------------------------------------------------------
    def unit_s(self, kind: str) -> float:
        """Return the mean GPU time of one request in seconds, if all batches are full."""
        of = self._sized.kind(kind)
        sizes = Sizes(self.seed)
        time = of.batch
        costs = [time.cost(of.size * sizes.factor(of.size_cv)) for _ in range(2000)]
        return statistics.fmean(time.fixed_s / time.limit(cost) + time.per_cost_s * cost for cost in costs)

    def gpu_work(self, rate: RequestRate, use: Demand) -> dict[str, float]:
        """Return how many fully used GPUs each kind of work needs.

        Each unit of a live stream counts as a request for speech to text.
        """
        units = rate.asr + rate.streams * use.stream_s * self.rates.live.units_per_s
        return {ASR: units * self.unit_s(ASR), TTS: rate.tts * self.unit_s(TTS)}

    def _gpus(self, rate: RequestRate, use: Demand) -> int:
        count = max(1, math.ceil(sum(self.gpu_work(rate, use).values()) / self.targets.utilisation))
        if count > MAX_GPUS:
            raise NoFeasiblePlan(f"{count:,} GPUs are more than the limit of {MAX_GPUS:,}")
        return count

    # --- API pods ----------------------------------------------------------------------------------------------------
    def station(self, name: str, rate: RequestRate, use: Demand, pods: int) -> Station:
        """Return the queue at one pod of a deployment.

        ``name``: the deployment.
        ``pods``: the number of its pods, over which the requests are spread.
        """
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
        servers = max(1, round(self.targets.pod_cores))
        # A pod with less than one core takes proportionally longer for everything.
        return Station(servers, per_second / pods, mean / min(1.0, self.targets.pod_cores), scv)

    def _pods(self, name: str, rate: RequestRate, use: Demand) -> int:
        alone = self.station(name, rate, use, 1)
        pods = max(self.targets.min_pods, math.ceil(alone.utilisation / self.targets.utilisation))
        if pods > MAX_PODS:
            raise NoFeasiblePlan(f"{pods:,} API pods are more than the limit of {MAX_PODS:,}")
        return pods

    # --- What users experience ---------------------------------------------------------------------------------------
    def experience(self, rate: RequestRate, use: Demand, machines: Machines) -> Experience:
        """Simulate a constant request rate on these machines, and return what users experience."""
        per_second = rate.asr + rate.tts + rate.streams * use.stream_s * self.rates.live.units_per_s
        seconds = min(LONGEST_S, max(SHORTEST_S, EVENTS / max(per_second, 1e-9)))
        shape = Shape(
            machines.gpus,
            machines.pods,
            pod_cores=self.targets.pod_cores,
            burst_cores=self.targets.pod_limit_cores,
            scaling=None,
        )
        run = simulate_steady(rate, use, self.rates, shape, seconds=seconds, seed=self.seed)
        stations = {name: self.station(name, rate, use, machines.pods[name]) for name in DEPLOYMENTS}
        streams = rate.streams * use.stream_s
        # Without any answer in the simulation, the latency is that on an idle service.
        answers = {name: run.latencies(name) or [self.alone_s(name)] for name in DEPLOYMENTS}
        mean = {name: statistics.fmean(found) for name, found in answers.items()}
        served = rate.asr * mean[ASR] + rate.tts * mean[TTS] + streams  # Little's law
        asked = rate.asr + rate.tts + rate.streams
        return Experience(
            p95_s={name: percentile(found, 95) for name, found in answers.items()},
            refused_share=run.refused / max(1, run.arrivals),
            gpu_utilisation=sum(self.gpu_work(rate, use).values()) / machines.gpus,
            pod_utilisation={kind: station.utilisation for kind, station in stations.items()},
            pod_wait_p95_s={kind: station.wait_s(95) for kind, station in stations.items()},
            served=served,
            max_served=max(part.users for part in run.intervals),
            talking=served + asked * self.crowd.think_s,
        )

    # --- Money -------------------------------------------------------------------------------------------------------
    def money(self, rate: RequestRate, demand: Demand | None, use: Demand, machines: Machines) -> Money:
        """Return the costs, divided between speech to text and text to speech.

        GPU costs are divided by the GPU time of each kind of work. The pods of a deployment count for its kind.

        ``demand``: the demand from which unit costs are computed; None for no unit costs.
        """
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
        """Return the cost of the machine time of one request in US dollars, at the highest allowed utilisation."""
        gpu = self.unit_s(kind) * self.prices.t4_hour_usd / 3600
        pod_second = self.prices.pod_month_usd / (self.prices.t4_month_usd / self.prices.t4_hour_usd * 3600)
        pod = self._sized.kind(kind).processor.api_s / self.targets.pod_cores * pod_second
        return (gpu + pod) / self.targets.utilisation
