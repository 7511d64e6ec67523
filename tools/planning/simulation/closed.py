"""Users who ask again when they have been answered, after a time to think: as load tests have them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from core.percentiles import percentile
from tools.planning.rates import ASR, KINDS, TTS, KindRates, Rates
from tools.planning.simulation.clock import Clock, Machine, Threads
from tools.planning.simulation.service import Engines, Pod, Sizes

MAX_STALL = 4.0  # and the reciprocal of it: batches that share a device better than alone
STALL_STEPS = 9  # within one per cent


@dataclass
class Answers:
    """``latencies_s`` of the successful ones by kind. ``last_s``: when the last of them came."""

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: {ASR: [], TTS: []})
    refused: int = 0
    seconds: float = 0.0
    last_s: float = 0.0

    def all(self) -> list[float]:
        return [seconds for kind in self.latencies_s.values() for seconds in kind]

    @property
    def per_second(self) -> float:
        return len(self.all()) / self.seconds if self.seconds else 0.0

    @property
    def per_second_to_the_last(self) -> float:
        """Return the throughput up to the last answer, as for a run that ends when its last caller has been
        answered."""
        return len(self.all()) / self.last_s if self.last_s else 0.0

    def percentile_s(self, percent: float, kind: str | None = None) -> float:
        """Nearest rank. NaN when there are none."""
        return percentile(self.all() if kind is None else self.latencies_s[kind], percent)


@dataclass(frozen=True)
class ClosedLoop:
    """``asr_share`` of the requests are speech to text. ``think_s``: from and to, evenly distributed."""

    users: int
    seconds: float
    asr_share: float = 1.0
    think_s: tuple[float, float] = (0.0, 0.0)
    warm_up_s: float = 0.0
    deadline_s: float | None = None
    seed: int = 1


def one_machine(rates: Rates, load: ClosedLoop, *, cores: float | None = None) -> Answers:
    """The whole service, and the client beside it, on one machine. ``cores``: those that the rates were measured on."""
    clock = Clock()
    rates = replace(rates, asr=_stalled(rates.asr), tts=_stalled(rates.tts))
    shared = cores or rates.cores
    machine = Machine(clock, shared)
    engines = Engines(clock, rates, machine=machine)
    # Threads are counted by the machine's cores, also when others leave it only part of them.
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
    clock.run(load.warm_up_s + load.seconds + 3600)  # those under way end
    return answers


def _stalled(kind: KindRates) -> KindRates:
    used = kind.processor
    used = replace(
        used,
        loop_s=used.loop_s * kind.stall,
        pool_s=used.pool_s * kind.stall,
        books_s=used.books_s * kind.stall,
        engine_s=used.engine_s * kind.stall,
    )
    return replace(kind, processor=used)


def fitted(rates: Rates) -> Rates:
    """The rates with each kind's ``stall`` such that the simulation answers as many a second as the run did that they
    are from. What other numbers of callers, and both kinds together, will see follows from it. Where no ``stall`` in
    bounds does it, the rates' notes say so."""
    found = {name: replace(rates.kind(name), stall=_stall(rates, name)) for name in KINDS}
    notes = [
        f"{name}: no stall from {1 / MAX_STALL:g} to {MAX_STALL:g} gives the answers a second that were measured; "
        f"taken: {kind.stall:.2g}"
        for name, kind in found.items()
        if kind.loaded is not None and _is_bound(kind.stall)
    ]
    return replace(rates, asr=found[ASR], tts=found[TTS], notes=(*rates.notes, *notes))


def _is_bound(stall: float) -> bool:
    """Return whether the bisection ended at a bound: it always moved in one direction."""
    return abs(math.log(stall)) > math.log(MAX_STALL) * (1 - 2.0 ** (1 - STALL_STEPS))


def _stall(rates: Rates, name: str) -> float:
    """Find ``stall`` by bisection: the longer threads take, the fewer requests are answered."""
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
    """Return the number of cores of a machine that leaves this many of them free."""
    return max(1, -int(-cores // 1))
