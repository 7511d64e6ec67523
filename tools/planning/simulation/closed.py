"""Users who ask again when they have been answered, after a time to think: as load tests have them."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.percentiles import percentile
from tools.planning.rates import ASR, TTS, Rates
from tools.planning.simulation.clock import Clock, Machine, Threads
from tools.planning.simulation.service import Engines, Pod, Sizes


@dataclass
class Answers:
    """``latencies_s`` of the successful ones by kind."""

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: {ASR: [], TTS: []})
    refused: int = 0
    seconds: float = 0.0

    def all(self) -> list[float]:
        return [seconds for kind in self.latencies_s.values() for seconds in kind]

    @property
    def per_second(self) -> float:
        return len(self.all()) / self.seconds if self.seconds else 0.0

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


def whole_cores(cores: float) -> int:
    """How many cores a machine has that leaves so much of them free."""
    return max(1, -int(-cores // 1))
