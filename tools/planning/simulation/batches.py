"""The batcher of ``inference.batcher`` in simulated time: the same rules, with service times instead of a model.

The oldest unit (a live one counts as somewhat older) and those with the same key, up to the limit; a bounded queue; an
estimate of the wait from what waits and the smoothed time per cost; what is past its deadline is dropped unrun.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from inference.batcher import LIVE_LEAD_S, SMOOTHING
from tools.planning.rates import BatchTime
from tools.planning.simulation.clock import Action, Clock

Run = Callable[[float, Action], None]  # takes so many seconds of work, then calls back
Outcome = Callable[[bool], None]  # whether the unit was done


@dataclass(order=True)
class Waiting:
    rank: float
    number: int
    cost: float = field(compare=False)
    deadline: float | None = field(compare=False)
    done: Outcome = field(compare=False)


class BatchServer:
    """``run``: by default a device of its own, which a batch has to itself. ``batches`` counts them by size."""

    def __init__(self, clock: Clock, time: BatchTime, *, run: Run | None = None) -> None:
        self._clock = clock
        self._time = time
        self._run = run or clock.after
        self._queue: list[Waiting] = []
        self._numbers = itertools.count()
        self._free = time.workers
        self._seconds_per_cost = 0.0
        self.running = 0
        self.busy_s = 0.0
        self.batches: dict[int, int] = {}

    @property
    def load(self) -> int:
        """Units that wait or run."""
        return len(self._queue) + self.running

    @property
    def wait_s(self) -> float:
        """The batcher's own estimate of what an arrival would wait."""
        return sum(item.cost for item in self._queue) * self._seconds_per_cost / self._time.workers

    def submit(self, size: float, done: Outcome, *, live: bool = False, deadline: float | None = None) -> bool:
        """False: refused, for want of room or of time; ``done`` is not called."""
        now = self._clock.now
        if len(self._queue) >= self._time.queue or (deadline is not None and now + self.wait_s > deadline):
            return False
        rank = now - LIVE_LEAD_S * live
        bisect.insort(self._queue, Waiting(rank, next(self._numbers), self._time.cost(size), deadline, done))
        self._start()
        return True

    def _start(self) -> None:
        while self._free and (batch := self._take()):
            self._free -= 1
            self.running += len(batch)
            self.batches[len(batch)] = self.batches.get(len(batch), 0) + 1
            self._serve(batch)

    def _take(self) -> list[Waiting]:
        now = self._clock.now
        late = [item for item in self._queue if item.deadline is not None and item.deadline < now]
        if late:
            self._queue = [item for item in self._queue if item not in late]
            for item in late:
                self._clock.after(0, partial(item.done, False))  # not now: it may come back with other work
        if not self._queue:
            return []
        first = self._queue[0]
        along = [item for item in self._queue if not self._time.buckets or item.cost == first.cost]
        # One worker takes no more than its share: the others would have nothing to do.
        batch = along[: min(self._time.limit(first.cost), math.ceil(len(along) / self._time.workers))]
        taken = {item.number for item in batch}
        self._queue = [item for item in self._queue if item.number not in taken]
        return batch

    def _serve(self, batch: list[Waiting]) -> None:
        began = self._clock.now
        cost = sum(item.cost for item in batch)

        def finished() -> None:
            seconds = self._clock.now - began
            self.busy_s += seconds
            self._free += 1
            self.running -= len(batch)
            old = self._seconds_per_cost
            self._seconds_per_cost = seconds / cost if old == 0 else old + SMOOTHING * (seconds / cost - old)
            self._start()
            for item in batch:
                item.done(True)

        self._run(self._time.seconds(cost), finished)
