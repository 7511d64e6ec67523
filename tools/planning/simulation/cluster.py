"""Simulate a cluster: autoscaled API pods, a fixed number of GPUs, and a load of requests and live streams.

As in the manifests, speech to text, text to speech and live recognition have one deployment each. All deployments share
the GPUs.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from core.percentiles import percentile
from tools.planning import hpa
from tools.planning.demand import SECONDS_PER_HOUR, Demand, RequestRate
from tools.planning.rates import ASR, DEPLOYMENTS, LIVE, TTS, Rates
from tools.planning.simulation.clock import Action, Clock, Level
from tools.planning.simulation.service import Engines, Pod, Sizes, merged

SLICE_S = 60.0  # length of one slice of the results

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """The machines of a simulated cluster.

    ``gpus``: the number of GPUs, which does not change.
    ``pods``: the number of pods of each deployment at the start.
    ``pod_cores``: the CPU request of a pod.
    ``burst_cores``: the CPU limit of a pod; None for the same as ``pod_cores``.
    ``pod_start_s``: seconds from the autoscaler's decision until a new pod takes requests.
    ``scaling``: the specification of the autoscaler; None for a fixed number of pods.
    ``deadline_s``: seconds after which a request that has not started is refused; None for no limit.
    """

    gpus: int
    pods: dict[str, int]
    pod_cores: float = 1.0
    burst_cores: float | None = None
    pod_start_s: float = 30.0
    scaling: hpa.Specification | None = hpa.API
    deadline_s: float | None = None


@dataclass
class Slice:
    """One minute of a run.

    ``latencies_s``: the latency of each successful answer in seconds, by deployment.
    ``arrivals``: how many requests and units of live streams arrived.
    ``refused``: how many of these were refused.
    ``users``: the highest number of people with a request in progress or an open stream.
    ``pods``: the number of pods that take requests, by deployment.
    ``wanted``: the number of pods including those that are starting, by deployment.
    ``gpu_percent``: mean utilisation of the GPUs in percent.
    ``pod_percent``: the autoscaler's last reading of CPU use in percent of the request, by deployment.
    ``users_per_pod``: the autoscaler's last reading of people with work in flight per pod, by deployment.
    """

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in DEPLOYMENTS})
    arrivals: int = 0
    refused: int = 0
    users: int = 0
    pods: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    gpu_percent: float = 0.0
    pod_percent: dict[str, float] = field(default_factory=dict)
    users_per_pod: dict[str, float] = field(default_factory=dict)

    def p95_s(self, kind: str) -> float:
        return percentile(self.latencies_s[kind], 95)


@dataclass(frozen=True)
class Change:
    """A change that the autoscaler made to the number of pods.

    ``at_s``: the time of the change, in seconds since the start.
    ``deployment``: the deployment that was changed.
    ``before``, ``after``: the number of pods before and after the change.
    """

    at_s: float
    deployment: str
    before: int
    after: int


@dataclass
class Run:
    """The results of a simulation, minute by minute.

    ``start_h``: the hour of the day at which the simulation starts.
    ``shape``: the simulated machines.
    ``slices``: the minutes, in order.
    ``changes``: the changes made by the autoscalers, in order.
    """

    start_h: float
    shape: Shape
    slices: list[Slice] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def latencies(self, kind: str) -> list[float]:
        """Return the latencies of all successful answers of a deployment, in seconds."""
        return [seconds for part in self.slices for seconds in part.latencies_s[kind]]

    @property
    def arrivals(self) -> int:
        return sum(part.arrivals for part in self.slices)

    @property
    def refused(self) -> int:
        return sum(part.refused for part in self.slices)

    @property
    def answered(self) -> int:
        return sum(len(seconds) for part in self.slices for seconds in part.latencies_s.values())


@dataclass
class _Started:
    """A pod that was started.

    ``pod``: the simulated process.
    ``ready_at``: the simulated time from which the pod takes requests.
    ``read_s``: CPU seconds that the pod had used at the autoscaler's last reading.
    """

    pod: Pod
    ready_at: float
    read_s: float = 0.0


class Deployment:
    """The pods of one deployment. Each request goes to a random ready pod, as behind a Kubernetes Service."""

    def __init__(self, cluster: Cluster, name: str, count: int) -> None:
        self._cluster = cluster
        self.name = name
        shape = cluster.shape
        self._scaler = hpa.Autoscaler(shape.scaling) if shape.scaling else None
        self._started = [_Started(cluster.new_pod(), 0.0) for _ in range(count)]
        self.percent = 0.0
        self.people = Level(cluster.clock)  # people with a request in progress or an open stream
        self._people_s = deque([0.0], maxlen=1 + int(hpa.USERS_WINDOW_S // hpa.SYNC_PERIOD_S))
        self.users_per_pod = 0.0

    @property
    def wanted(self) -> int:
        """The number of pods, including those that are starting."""
        return len(self._started)

    def ready(self) -> list[_Started]:
        """Return the pods that take requests."""
        now = self._cluster.clock.now
        return [each for each in self._started if each.ready_at <= now]

    def pod(self) -> Pod:
        """Return a random ready pod."""
        return self._cluster.random.choice(self.ready()).pod

    def sync(self) -> None:
        """Read the metrics of all pods, and let the autoscaler change the number of pods."""
        now = self._cluster.clock.now
        cores = self._cluster.shape.pod_cores
        self._people_s.append(self.people.sum_s)
        seconds = (len(self._people_s) - 1) * hpa.SYNC_PERIOD_S
        self.users_per_pod = (self._people_s[-1] - self._people_s[0]) / seconds / max(1, len(self.ready()))
        readings = []
        for each in self._started:
            used = each.pod.machine.used_s - each.read_s
            each.read_s = each.pod.machine.used_s
            percent = 100 * used / hpa.SYNC_PERIOD_S / cores
            readings.append(hpa.PodReading(now >= each.ready_at + hpa.METRIC_WINDOW_S, percent, self.users_per_pod))
        measured = [reading.percent or 0.0 for reading in readings if reading.ready]
        self.percent = sum(measured) / len(measured) if measured else 0.0
        if self._scaler is None:
            return
        before = self.wanted
        after = self._scaler.sync(now, before, readings)
        if after != before:
            self._cluster.run.changes.append(Change(now, self.name, before, after))
        for _ in range(after - before):
            self._started.append(_Started(self._cluster.new_pod(), now + self._cluster.shape.pod_start_s))
        # The youngest pods are removed first. They finish the requests they have, but get no new ones.
        del self._started[after:]


class Cluster:
    """A simulated cluster with three deployments that share the GPUs. Its results are in ``run``."""

    def __init__(self, rates: Rates, shape: Shape, *, start_h: float = 0.0, seed: int = 1) -> None:
        self.clock = Clock()
        self.shape = shape
        self.rates = merged(rates)
        self.seed = seed
        self.random = random.Random(seed)
        self.sizes = Sizes(seed + 1)
        self.gpus = [Engines(self.clock, self.rates) for _ in range(shape.gpus)]
        self.run = Run(start_h, shape)
        self.deployments = {name: Deployment(self, name, shape.pods[name]) for name in DEPLOYMENTS}
        self._slice = Slice()
        self._users = 0
        self._gpu_used_s = 0.0

    def new_pod(self) -> Pod:
        return Pod(self.clock, self.rates, self._gpu, cores=self.shape.burst_cores or self.shape.pod_cores)

    def _gpu(self) -> Engines:
        """Return the less loaded of two randomly chosen GPUs. Ray Serve chooses replicas in the same way."""
        if len(self.gpus) < 2:
            return self.gpus[0]
        return min(self.random.sample(self.gpus, 2), key=lambda gpu: gpu.load)

    def request(self, kind: str, *, then: Action = lambda: None, is_stream: bool = False) -> None:
        """Let a request arrive now.

        ``kind``: the deployment that serves the request.
        ``then``: called when the request has been answered or refused.
        ``is_stream``: whether the request is a unit of a live stream, whose user is already counted.
        """
        asked = self.clock.now
        self._slice.arrivals += 1
        if not is_stream:
            self._enter(kind)
        deadline = None if self.shape.deadline_s is None else asked + self.shape.deadline_s

        def answered(is_success: bool) -> None:
            if not is_stream:
                self._leave(kind)
            if is_success:
                self._slice.latencies_s[kind].append(self.clock.now - asked)
            else:
                self._slice.refused += 1
            then()

        self.deployments[kind].pod().handle(self.sizes.job(self.rates, kind, deadline), answered)

    def stream(self, seconds: float) -> None:
        """Open a live stream that lasts this many seconds from now."""
        self._enter(LIVE)
        ends = self.clock.now + seconds
        every = 1 / self.rates.live.units_per_s

        def unit() -> None:
            if self.clock.now >= ends:
                self._leave(LIVE)
                return
            self.request(LIVE, is_stream=True)
            self.clock.after(every, unit)

        self.clock.after(every, unit)

    def _enter(self, kind: str) -> None:
        self._users += 1
        self._slice.users = max(self._slice.users, self._users)
        self.deployments[kind].people.change(+1)

    def _leave(self, kind: str) -> None:
        self._users -= 1
        self.deployments[kind].people.change(-1)

    def watch(self, seconds: float) -> None:
        """Schedule the syncs of the autoscalers and the ends of the slices for the next ``seconds``."""
        for number in range(1, int(seconds // hpa.SYNC_PERIOD_S) + 1):
            self.clock.after(number * hpa.SYNC_PERIOD_S, self._sync)
        for number in range(1, int(seconds // SLICE_S) + 1):
            self.clock.after(number * SLICE_S, self._close)

    def _sync(self) -> None:
        for deployment in self.deployments.values():
            deployment.sync()

    def _close(self) -> None:
        done = self._slice
        self._slice = Slice(users=self._users)
        used = sum(gpu.used_s for gpu in self.gpus)
        done.gpu_percent = 100 * (used - self._gpu_used_s) / SLICE_S / len(self.gpus)
        self._gpu_used_s = used
        for name, deployment in self.deployments.items():
            done.pods[name] = len(deployment.ready())
            done.wanted[name] = deployment.wanted
            done.pod_percent[name] = deployment.percent
            done.users_per_pod[name] = deployment.users_per_pod
        self.run.slices.append(done)


def simulate(
    demand: Demand, rates: Rates, shape: Shape, *, start_h: float = 0.0, end_h: float = 24.0, seed: int = 1
) -> Run:
    """Simulate a day of a demand, or the part of it from hour ``start_h`` to hour ``end_h``.

    Equal arguments give equal results.
    """

    def times(per_day: float, number: int) -> Times:
        return demand.curve.arrivals(per_day, start_h, end_h, seed + 100 + number)

    cluster = Cluster(sized(rates, demand), shape, start_h=start_h, seed=seed)
    per_day = (demand.asr_per_day, demand.tts_per_day, demand.streams_per_day)
    return _open(
        cluster, [times(*each) for each in zip(per_day, (0, 1, 2), strict=True)], demand.stream_s, end_h - start_h
    )


def simulate_steady(
    rate: RequestRate,
    demand: Demand,
    rates: Rates,
    shape: Shape,
    *,
    seconds: float,
    warm_up_s: float = 120.0,
    seed: int = 1,
) -> Run:
    """Simulate a constant request rate, such as that of the busiest hour.

    ``rate``: the request rate.
    ``demand``: the sizes of requests and streams. The rest of the demand is not used.
    ``seconds``: the length of the result, without the warm-up.
    ``warm_up_s``: the length of the warm-up. It is simulated before the result begins.
    """
    generator = np.random.default_rng(seed + 100)
    length = warm_up_s + seconds
    cluster = Cluster(sized(rates, demand), shape, seed=seed)
    times = [np.sort(generator.uniform(0, length, generator.poisson(each * length))) for each in rate]
    run = _open(cluster, times, demand.stream_s, length / SECONDS_PER_HOUR)
    del run.slices[: int(warm_up_s // SLICE_S)]
    return run


def _open(cluster: Cluster, times: Sequence[Times], stream_s: float, hours: float) -> Run:
    """Run an open loop, in which arrivals do not depend on answers.

    ``times``: the arrival times of ASR requests, of TTS requests and of live streams, each in seconds.
    ``stream_s``: mean length of a stream in seconds (exponential distribution).
    ``hours``: the length of the run.
    """
    lengths = random.Random(cluster.seed + 300)
    cluster.watch(hours * SECONDS_PER_HOUR)
    actions = (
        lambda: cluster.request(ASR),
        lambda: cluster.request(TTS),
        lambda: cluster.stream(lengths.expovariate(1 / stream_s)),
    )
    for each, action in zip(times, actions, strict=True):
        _arrive(cluster.clock, each, action)
    cluster.clock.run(hours * SECONDS_PER_HOUR)
    return cluster.run


@dataclass(frozen=True)
class Crowd:
    """A number of people in conversation at once, and how they behave.

    ``users``: the number of people.
    ``think_s``: mean think time in seconds between two requests or streams (exponential distribution).
    ``mix``: the shares of speech to text, text to speech and live streams, which sum to 1.
    ``stream_s``: mean length of a live stream in seconds (exponential distribution).
    """

    users: int
    think_s: float = 4.0
    mix: tuple[float, float, float] = (0.40, 0.45, 0.15)
    stream_s: float = 5.0


@dataclass(frozen=True)
class Stay:
    """The time during which one person of a crowd is present, in seconds since the start."""

    begin_s: float = 0.0
    end_s: float = math.inf


def simulate_crowd(
    crowd: Crowd,
    demand: Demand,
    rates: Rates,
    shape: Shape,
    *,
    seconds: float,
    stays: Sequence[Stay] | None = None,
    warm_up_s: float = 60.0,
    seed: int = 1,
) -> Run:
    """Simulate a closed loop: each user waits for an answer, thinks, and asks again.

    ``crowd``: the users and their behaviour.
    ``demand``: the sizes of requests. The rest of the demand is not used.
    ``seconds``: the length of the result, without the warm-up.
    ``stays``: when each user is present; None if all users are present during the whole run.
    ``warm_up_s``: the length of the warm-up. It is simulated before the result begins.
    """
    cluster = Cluster(sized(rates, demand), shape, seed=seed)
    chance = random.Random(seed + 200)

    def user(stay: Stay) -> None:
        def think() -> None:
            if cluster.clock.now < stay.end_s:
                cluster.clock.after(chance.expovariate(1 / crowd.think_s) if crowd.think_s else 0.0, act)

        def act() -> None:
            kind = chance.choices(DEPLOYMENTS, crowd.mix)[0]
            if kind == LIVE:
                length = chance.expovariate(1 / crowd.stream_s)
                cluster.stream(length)
                cluster.clock.after(length, think)
            else:
                cluster.request(kind, then=think)

        cluster.clock.after(stay.begin_s, think)

    for stay in stays if stays is not None else [Stay()] * crowd.users:
        user(stay)
    cluster.watch(warm_up_s + seconds)
    cluster.clock.run(warm_up_s + seconds)
    del cluster.run.slices[: int(warm_up_s // SLICE_S)]
    return cluster.run


def sized(rates: Rates, demand: Demand) -> Rates:
    """Return the rates of requests that have the mean size and the spread of a demand.

    The CPU times in the engine and in the audio pool are proportional to the size. The other CPU times do not depend on
    it.
    """
    changed = {}
    for kind, size in ((ASR, demand.clip_s), (TTS, demand.text_characters)):
        of = rates.kind(kind)
        factor = size / of.size
        processor = replace(of.processor, pool_s=of.processor.pool_s * factor, engine_s=of.processor.engine_s * factor)
        changed[kind] = replace(of, size=size, size_cv=demand.size_cv, processor=processor)
    return replace(rates, asr=changed[ASR], tts=changed[TTS])


def _arrive(clock: Clock, times: Times, action: Callable[[], None]) -> None:
    """Schedule an action at each of these times (in seconds, ascending).

    Only the next action is in the clock's queue. Otherwise the queue would hold the arrivals of a whole day.
    """
    coming: Iterator[float] = iter(times.tolist())

    def arrive() -> None:
        action()
        plan()

    def plan() -> None:
        following = next(coming, None)
        if following is not None:
            clock.after(following - clock.now, arrive)

    plan()
