"""The service in simulated time: what one request does, on which threads, in the order in which it does it.

An API pod is one process: an event loop, a pool for audio, a thread for the ledger, on the cores that it may use.
Speech work goes to an engine: in the same pod (one machine, as `make run` has it), or on GPUs that all pods share.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tools.planning.rates import ENGINE, KINDS, LIVE, BatchTime, KindRates, Rates
from tools.planning.simulation.batches import BatchServer, Run
from tools.planning.simulation.clock import Action, Clock, Machine, Threads

LOOP_BEFORE = 0.6  # of the event loop's part: reading and admitting come before the engine, answering after

Answered = Callable[[bool], None]


@dataclass(frozen=True)
class Job:
    """One request's work. ``factor``: its size relative to the mean job's. ``effort``: its work relative to the mean
    job of that size. ``deadline``: in simulated time."""

    kind: str
    factor: float = 1.0
    effort: float = 1.0
    deadline: float | None = None


class Engines:
    """One place where batches run, with an engine for each kind of work."""

    def __init__(self, clock: Clock, rates: Rates, *, machine: Machine | None = None) -> None:
        """``machine``: the pod's own, when the engines share its cores. Otherwise they share a device."""
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
        return sum(server.load for server in self.servers.values())

    @property
    def used_s(self) -> float:
        """How long the device was busy."""
        return self._device.used_s if self._device else sum(server.busy_s for server in self.servers.values())

    def has_room(self, job: Job) -> bool:
        """Whether it would be begun in time if it came now: what the API asks before it does any work."""
        server = self.servers[ENGINE[job.kind]]
        return job.deadline is None or self._clock.now + server.wait_s <= job.deadline

    def submit(self, job: Job, done: Answered) -> bool:
        kind = ENGINE[job.kind]
        size = self._rates.kind(kind).size * job.factor
        return self.servers[kind].submit(size, done, live=job.kind == LIVE, deadline=job.deadline)


def on_threads(machine: Machine, count: int) -> Run:
    """Run a batch on so many threads of the machine at once; it is done when the last of them is."""

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
    """Batch times on cores that others use too: the shape is that of a batch alone, the amount is the processor time
    that was measured under load."""
    time = kind.batch
    alone = time.seconds(kind.mean_batch * time.cost(kind.size))
    factor = kind.processor.engine_s * kind.mean_batch / alone
    return replace(time, fixed_s=time.fixed_s * factor, per_cost_s=time.per_cost_s * factor)


class Pod:
    """One API process. ``choose`` gives the engines for the next unit. ``pool_threads``: one for each core if None."""

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
        self._books = Threads(self.machine, 1)
        self.under_way = 0

    def handle(self, job: Job, answered: Answered) -> None:
        """Do one request, or one unit of an open stream."""
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
            self._books.work(used.books_s, lambda: self._loop.work(answer, lambda: end(True)))

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
            # What begins a request has a pool of its own; its last job before the engine does not wait behind those.
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
    """The same rates with all pool jobs before the engine merged into one, and all after it into another: the same
    work, fewer simulation events."""

    def fewer(kind: KindRates) -> KindRates:
        used = kind.processor
        before = sum(used.stages[: used.stages_before])
        stages = (before, sum(used.stages) - before)
        return replace(kind, processor=replace(used, stages=stages, stages_before=1))

    return replace(rates, asr=fewer(rates.asr), tts=fewer(rates.tts))


class Sizes:
    """Sizes of requests over their mean: lognormal with mean 1, or all alike."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def factor(self, variation: float) -> float:
        """``variation``: standard deviation over mean."""
        if variation <= 0:
            return 1.0
        variance = math.log1p(variation * variation)
        return self.random.lognormvariate(-variance / 2, math.sqrt(variance))

    def job(self, rates: Rates, kind: str, deadline: float | None = None) -> Job:
        """Draw a request with random size and effort."""
        of = rates.kind(ENGINE[kind])
        return Job(kind, self.factor(of.size_cv), self.factor(of.effort_cv), deadline)
