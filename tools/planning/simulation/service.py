"""The service in simulated time: the steps of one request in their order, and the threads that run them.

An API pod is one process with an event loop, thread pools for audio, and a thread for the ledger. Its engines run
either in the same pod (on one machine, as with ``make run``) or on GPUs that all pods share.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tools.planning.rates import ENGINE, KINDS, LIVE, BatchTime, KindRates, Rates
from tools.planning.simulation.batches import BatchServer, Run
from tools.planning.simulation.clock import Action, Clock, Machine, Threads

LOOP_BEFORE = 0.6  # share of the event loop's work that comes before the engine: reading and admitting the request

Answered = Callable[[bool], None]


@dataclass(frozen=True)
class Job:
    """The work of one request, or of one unit of a live stream.

    ``kind``: one of ``DEPLOYMENTS``.
    ``factor``: the size of the request, relative to the mean size.
    ``effort``: the work of the request, relative to the mean work of requests of the same size.
    ``deadline``: the simulated time by which the engine must have started the job; None for no limit.
    """

    kind: str
    factor: float = 1.0
    effort: float = 1.0
    deadline: float | None = None


class Engines:
    """A place where batches run (one GPU or one pod), with an engine for each kind of work."""

    def __init__(self, clock: Clock, rates: Rates, *, machine: Machine | None = None) -> None:
        """Create the engines.

        ``machine``: the processor of the pod if the engines run on its cores; None if they share a GPU.
        """
        self._clock = clock
        self._rates = rates
        self.servers: dict[str, BatchServer] = {}
        self._device = Machine(clock, 1.0) if machine is None else None
        for kind in KINDS:
            time = rates.kind(kind).batch if machine is None else local(rates.kind(kind))
            run: Run = self._device.work if self._device else on_threads(machine, time.threads)  # type: ignore[arg-type]
            self.servers[kind] = BatchServer(clock, time, run=run)

    @property
    def load(self) -> int:
        """The number of units that are waiting or running, in all engines."""
        return sum(server.load for server in self.servers.values())

    @property
    def used_s(self) -> float:
        """The seconds for which the engines were busy."""
        return self._device.used_s if self._device else sum(server.busy_s for server in self.servers.values())

    def has_room(self, job: Job) -> bool:
        """Return True if a job that arrived now would probably start before its deadline.

        The API asks this before it does any work for a request.
        """
        server = self.servers[ENGINE[job.kind]]
        return job.deadline is None or self._clock.now + server.wait_s <= job.deadline

    def submit(self, job: Job, done: Answered) -> bool:
        """Submit a job and return True, or return False if it is refused.

        ``done``: called with True when the job has been run, or with False if it is dropped. Not called after a
        refusal.
        """
        kind = ENGINE[job.kind]
        size = self._rates.kind(kind).size * job.factor
        return self.servers[kind].submit(size, done, live=job.kind == LIVE, deadline=job.deadline)


def on_threads(machine: Machine, count: int) -> Run:
    """Return a function that splits the work of a batch over ``count`` threads.

    The batch is finished when the last of these threads has finished.
    """

    def run(seconds: float, done: Action) -> None:
        left = count

        def part_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for _ in range(count):
            machine.work(seconds / count, part_done)

    return run


def local(kind: KindRates) -> BatchTime:
    """Return the batch times of an engine that shares its cores with the rest of the service.

    The times that were measured on an idle machine are all multiplied by the same factor. With this factor, a batch of
    mean size takes the CPU time that was measured under load.
    """
    time = kind.batch
    alone = time.seconds(kind.mean_batch * time.cost(kind.size))
    factor = kind.processor.engine_s * kind.mean_batch / alone
    return replace(time, fixed_s=time.fixed_s * factor, per_cost_s=time.per_cost_s * factor)


class Pod:
    """One API process.

    ``choose``: returns the engines for the next unit.
    ``cores``: how many cores the pod may use.
    ``machine``: the processor that the pod runs on; None for a separate one.
    ``pool_threads``: the number of threads of each audio pool; None for one per core.
    """

    def __init__(
        self,
        clock: Clock,
        rates: Rates,
        choose: Callable[[], Engines],
        *,
        cores: float,
        machine: Machine | None = None,
        pool_threads: int | None = None,
    ) -> None:
        self.machine = machine or Machine(clock, cores)
        self.cores = cores
        self._clock = clock
        self._rates = rates
        self._choose = choose
        self._loop = Threads(self.machine, 1)
        self._pool = Threads(self.machine, pool_threads or max(1, round(cores)))
        self._first = Threads(self.machine, pool_threads or max(1, round(cores)))
        self._ledger = Threads(self.machine, 1)
        self.under_way = 0

    def handle(self, job: Job, answered: Answered) -> None:
        """Serve a request or a unit of a live stream, then call ``answered``.

        ``answered``: gets True if the request succeeded, else False.
        """
        self.under_way += 1

        def end(is_success: bool) -> None:
            self.under_way -= 1
            answered(is_success)

        if job.kind == LIVE:
            self._live(job, end)
        else:
            self._request(job, end)

    def _request(self, job: Job, end: Answered) -> None:
        rates = self._rates.kind(job.kind)
        used = rates.processor
        pool = [used.pool_s * share * job.factor * job.effort for share in used.stages]
        before = pool[: used.stages_before]
        after = pool[used.stages_before :]
        answer = used.loop_s * (1 - LOOP_BEFORE)

        def refuse() -> None:
            self._loop.work(answer, lambda: end(False))

        def settle() -> None:
            self._ledger.work(used.ledger_s, lambda: self._loop.work(answer, lambda: end(True)))

        def spoken(is_done: bool) -> None:
            if is_done:
                _in_turn([(self._pool, seconds) for seconds in after], settle)
            else:
                refuse()

        def ask() -> None:
            if not self._choose().submit(job, spoken):
                refuse()

        def admit() -> None:
            if not self._choose().has_room(job):
                refuse()
                return
            # The first jobs of a request run in a separate pool. So the last job before the engine, and the jobs after
            # the engine, do not wait behind them.
            jobs = [(self._first, seconds) for seconds in before[:-1]]
            _in_turn([*jobs, *((self._pool, seconds) for seconds in before[-1:])], ask)

        self._loop.work(used.loop_s * LOOP_BEFORE, admit)

    def _live(self, job: Job, end: Answered) -> None:
        live = self._rates.live
        half = live.api_s_per_s / live.units_per_s / 2

        def ask() -> None:
            if not self._choose().submit(job, end):
                end(False)

        _in_turn([(self._loop, half), (self._pool, half)], ask)


def _in_turn(stages: Sequence[tuple[Threads, float]], then: Action) -> None:
    if not stages:
        then()
        return
    (threads, seconds), rest = stages[0], stages[1:]
    threads.work(seconds, lambda: _in_turn(rest, then))


def merged(rates: Rates) -> Rates:
    """Return rates in which the audio pool has one job before the engine and one after it, instead of several.

    The work stays the same, but the simulation has fewer events.
    """

    def fewer(kind: KindRates) -> KindRates:
        used = kind.processor
        before = sum(used.stages[: used.stages_before])
        stages = (before, sum(used.stages) - before)
        return replace(kind, processor=replace(used, stages=stages, stages_before=1))

    return replace(rates, asr=fewer(rates.asr), tts=fewer(rates.tts))


class Sizes:
    """Draws random sizes of requests, relative to the mean size."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def factor(self, variation: float) -> float:
        """Draw a number from a lognormal distribution with mean 1.

        ``variation``: the coefficient of variation (standard deviation divided by mean). The result is 1 if this is not
        positive.
        """
        if variation <= 0:
            return 1.0
        variance = math.log1p(variation * variation)
        return self.random.lognormvariate(-variance / 2, math.sqrt(variance))

    def job(self, rates: Rates, kind: str, deadline: float | None = None) -> Job:
        """Draw a job of random size and effort."""
        of = rates.kind(ENGINE[kind])
        return Job(kind, self.factor(of.size_cv), self.factor(of.effort_cv), deadline)
