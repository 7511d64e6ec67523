"""Simulate a cluster: autoscaled API pods, a fixed number of GPUs, and a load of requests and live streams.

As in the manifests, speech to text, text to speech and live recognition have one deployment each. All deployments share
the GPUs.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from core.percentiles import percentile
from tools.planning import hpa
from tools.planning.rates import DEPLOYMENTS, LIVE, Rates
from tools.planning.simulation.clock import Action, Clock, Level
from tools.planning.simulation.service import Engines, Pod, Sizes, merged

INTERVAL_S = 60.0  # length of one interval of the results


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
class Interval:
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
    ``intervals``: the minutes, in order.
    ``changes``: the changes made by the autoscalers, in order.
    """

    start_h: float
    shape: Shape
    intervals: list[Interval] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def latencies(self, kind: str) -> list[float]:
        """Return the latencies of all successful answers of a deployment, in seconds."""
        return [seconds for part in self.intervals for seconds in part.latencies_s[kind]]

    @property
    def arrivals(self) -> int:
        return sum(part.arrivals for part in self.intervals)

    @property
    def refused(self) -> int:
        return sum(part.refused for part in self.intervals)

    @property
    def answered(self) -> int:
        return sum(len(seconds) for part in self.intervals for seconds in part.latencies_s.values())


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
        self._interval = Interval()
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
        self._interval.arrivals += 1
        if not is_stream:
            self._enter(kind)
        deadline = None if self.shape.deadline_s is None else asked + self.shape.deadline_s

        def answered(is_success: bool) -> None:
            if not is_stream:
                self._leave(kind)
            if is_success:
                self._interval.latencies_s[kind].append(self.clock.now - asked)
            else:
                self._interval.refused += 1
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
        self._interval.users = max(self._interval.users, self._users)
        self.deployments[kind].people.change(+1)

    def _leave(self, kind: str) -> None:
        self._users -= 1
        self.deployments[kind].people.change(-1)

    def watch(self, seconds: float) -> None:
        """Schedule the syncs of the autoscalers and the ends of the intervals for the next ``seconds``."""
        for number in range(1, int(seconds // hpa.SYNC_PERIOD_S) + 1):
            self.clock.after(number * hpa.SYNC_PERIOD_S, self._sync)
        for number in range(1, int(seconds // INTERVAL_S) + 1):
            self.clock.after(number * INTERVAL_S, self._close)

    def _sync(self) -> None:
        for deployment in self.deployments.values():
            deployment.sync()

    def _close(self) -> None:
        done = self._interval
        self._interval = Interval(users=self._users)
        used = sum(gpu.used_s for gpu in self.gpus)
        done.gpu_percent = 100 * (used - self._gpu_used_s) / INTERVAL_S / len(self.gpus)
        self._gpu_used_s = used
        for name, deployment in self.deployments.items():
            done.pods[name] = len(deployment.ready())
            done.wanted[name] = deployment.wanted
            done.pod_percent[name] = deployment.percent
            done.users_per_pod[name] = deployment.users_per_pod
        self.run.intervals.append(done)
