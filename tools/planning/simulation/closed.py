"""Simulate a closed-loop load, as in load tests: each user waits for the answer, thinks, and asks again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from core.percentiles import percentile
from tools.planning.rates import ASR, KINDS, TTS, KindRates, Rates
from tools.planning.simulation.clock import Clock, Machine, Threads
from tools.planning.simulation.service import Engines, Pod, Sizes

MAX_STALL = 4.0  # the search is from 1/MAX_STALL to MAX_STALL; a value below 1 means that sharing speeds up work
STALL_STEPS = 9  # bisection steps: enough for one per cent


@dataclass
class Answers:
    """The results of a closed-loop run.

    ``latencies_s``: the latency of each successful answer in seconds, by kind.
    ``refused``: how many requests were refused.
    ``seconds``: how long requests were sent, without the warm-up.
    ``last_s``: the simulated time of the last successful answer.
    """

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: {ASR: [], TTS: []})
    refused: int = 0
    seconds: float = 0.0
    last_s: float = 0.0

    def all(self) -> list[float]:
        return [seconds for kind in self.latencies_s.values() for seconds in kind]

    @property
    def per_second(self) -> float:
        """The throughput over ``seconds``, in successful answers per second."""
        return len(self.all()) / self.seconds if self.seconds else 0.0

    @property
    def per_second_to_the_last(self) -> float:
        """The throughput from the beginning to the last successful answer, in answers per second.

        Measured runs are counted in the same way, because they end with the last answer.
        """
        return len(self.all()) / self.last_s if self.last_s else 0.0

    def percentile_s(self, percent: float, kind: str | None = None) -> float:
        """Return a percentile of the latency in seconds (nearest rank); NaN if there are no answers.

        ``kind``: a kind of work; None for all kinds.
        """
        return percentile(self.all() if kind is None else self.latencies_s[kind], percent)


@dataclass(frozen=True)
class ClosedLoop:
    """A closed-loop load.

    ``users``: the number of users.
    ``seconds``: how long they send requests after the warm-up.
    ``asr_share``: the share of requests that are for speech to text, from 0 to 1. The others are for text to speech.
    ``think_s``: shortest and longest think time in seconds (uniform distribution).
    ``warm_up_s``: seconds at the beginning whose requests do not count.
    ``deadline_s``: seconds after which a request that has not started is refused; None for no limit.
    ``seed``: the seed of the random numbers.
    """

    users: int
    seconds: float
    asr_share: float = 1.0
    think_s: tuple[float, float] = (0.0, 0.0)
    warm_up_s: float = 0.0
    deadline_s: float | None = None
    seed: int = 1


def one_machine(rates: Rates, load: ClosedLoop, *, cores: float | None = None) -> Answers:
    """Simulate the whole service, and the client that loads it, on one machine; return the answers.

    ``cores``: the number of cores; None for the number that the rates were measured with.
    """
    clock = Clock()
    rates = replace(rates, asr=_stalled(rates.asr), tts=_stalled(rates.tts))
    shared = cores or rates.cores
    machine = Machine(clock, shared)
    engines = Engines(clock, rates, machine=machine)
    # The pool has a thread for each core of the machine, even if other programs use some of the cores.
    pod = Pod(clock, rates, lambda: engines, cores=shared, machine=machine, pool_threads=whole_cores(shared))
    client = Threads(machine, 1)
    answers = Answers(seconds=load.seconds)
    sizes = Sizes(load.seed)

    def user() -> None:
        if clock.now >= load.warm_up_s + load.seconds:
            return
        kind = ASR if sizes.random.random() < load.asr_share else TTS
        asked = clock.now
        half = rates.kind(kind).processor.client_s / 2
        deadline = None if load.deadline_s is None else asked + load.deadline_s
        job = sizes.job(rates, kind, deadline)

        def answered(is_success: bool) -> None:
            client.work(half, lambda: note(is_success))

        def note(is_success: bool) -> None:
            if asked >= load.warm_up_s:
                if is_success:
                    answers.latencies_s[kind].append(clock.now - asked)
                    answers.last_s = clock.now
                else:
                    answers.refused += 1
            clock.after(sizes.random.uniform(*load.think_s), user)

        client.work(half, lambda: pod.handle(job, answered))

    for _ in range(load.users):
        clock.after(0.0 if load.think_s[1] == 0 else sizes.random.uniform(*load.think_s), user)
    clock.run(load.warm_up_s + load.seconds)
    answers.seconds = load.seconds
    clock.run(load.warm_up_s + load.seconds + 3600)  # let requests in progress end
    return answers


def _stalled(kind: KindRates) -> KindRates:
    used = kind.processor
    used = replace(
        used,
        loop_s=used.loop_s * kind.stall,
        pool_s=used.pool_s * kind.stall,
        ledger_s=used.ledger_s * kind.stall,
        engine_s=used.engine_s * kind.stall,
    )
    return replace(kind, processor=used)


def fitted(rates: Rates) -> Rates:
    """Return the rates with the ``stall`` of each kind fitted to its ``loaded`` run.

    With this value, the simulation of that run answers as many requests per second as the measured run did. The
    simulation can then predict other numbers of callers, and mixtures of both kinds. If no value within the bounds
    fits, ``notes`` say so.
    """
    found = {name: replace(rates.kind(name), stall=_stall(rates, name)) for name in KINDS}
    notes = [
        f"{name}: no stall from {1 / MAX_STALL:g} to {MAX_STALL:g} gives the answers a second that were measured; "
        f"taken: {kind.stall:.2g}"
        for name, kind in found.items()
        if kind.loaded is not None and _is_bound(kind.stall)
    ]
    return replace(rates, asr=found[ASR], tts=found[TTS], notes=(*rates.notes, *notes))


def _is_bound(stall: float) -> bool:
    """Return True if the bisection ended at one of its bounds, which means that no value fits."""
    return abs(math.log(stall)) > math.log(MAX_STALL) * (1 - 2.0 ** (1 - STALL_STEPS))


def _stall(rates: Rates, name: str) -> float:
    """Find by bisection the ``stall`` with which the simulated throughput equals the measured one.

    Bisection works because throughput falls as ``stall`` rises.

    ``name``: the kind of work.
    """
    loaded = rates.kind(name).loaded
    if loaded is None:
        return rates.kind(name).stall
    load = ClosedLoop(loaded.callers, loaded.seconds, asr_share=1.0 if name == ASR else 0.0)
    low = 1 / MAX_STALL
    high = MAX_STALL
    for _ in range(STALL_STEPS):
        middle = math.sqrt(low * high)
        kind = replace(rates.kind(name), stall=middle)
        answers = one_machine(replace(rates, asr=kind) if name == ASR else replace(rates, tts=kind), load)
        if answers.per_second_to_the_last > loaded.per_second:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def whole_cores(cores: float) -> int:
    """Return the number of cores of a machine, given how many are free: rounded up, and at least 1."""
    return max(1, -int(-cores // 1))
