"""The batcher of ``inference.batcher`` in simulated time, with service times in place of a model.

It follows the same rules as the real batcher:

- A batch starts with the oldest unit. Units of live streams count as ``LIVE_LEAD_S`` seconds older than they are.
- Other waiting units join the batch if their costs allow it (``BatchTime.together``). A batch holds no more units than
  each of its units allows (``BatchTime.limit``), and no more than an even share of all units for each worker.
- While other workers are busy, a worker waits a moment for more units, unless a live unit is waiting or the batch is
  full.
- The length of the queue is limited. A unit is refused if it would probably not start before its deadline. Its wait is
  estimated as the queued cost times the smoothed seconds per unit of cost.
- A unit whose deadline has passed is dropped and not run.

There is one known difference: the real recogniser batches units of different contexts only when it is busy, whereas the
simulation always does so.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from inference.batcher import ARRIVAL_GAP_S, GATHER_S
from inference.scheduler import LIVE_LEAD_S, SMOOTHING
from tools.planning.rates import BatchTime
from tools.planning.simulation.clock import Action, Clock

MOMENT_S = 1e-9  # with a shorter wait, simulated time might not advance because of rounding

Run = Callable[[float, Action], None]  # does this many seconds of work, then calls the action
Outcome = Callable[[bool], None]  # called with True if the unit was run, with False if it was dropped


@dataclass(order=True)
class Waiting:
    """A unit in the queue. Units are ordered by ``rank``: their time of arrival, less ``LIVE_LEAD_S`` if live."""

    rank: float
    number: int
    cost: float = field(compare=False)
    arrived: float = field(compare=False)
    live: bool = field(compare=False)
    deadline: float | None = field(compare=False)
    done: Outcome = field(compare=False)


class BatchServer:
    """A queue, and the workers that run its units in batches.

    ``time``: how long a batch takes, and the limits on its size and on the queue.
    ``run``: does the work of a batch. By default, the work runs on a device that nothing else uses.

    Attributes:

    ``running``: the number of units that are running.
    ``busy_s``: the sum of the durations of all batches, in seconds.
    ``batches``: how many batches there were of each size (number of units).
    """

    def __init__(self, clock: Clock, time: BatchTime, *, run: Run | None = None) -> None:
        self._clock = clock
        self._time = time
        self._run = run or clock.after
        self._queue: list[Waiting] = []
        self._numbers = itertools.count()
        self._free = time.workers
        self._free_since = self._last_arrival = clock.now
        self._seconds_per_cost = 0.0
        self.running = 0
        self.busy_s = 0.0
        self.batches: dict[int, int] = {}

    @property
    def load(self) -> int:
        """The number of units that are waiting or running."""
        return len(self._queue) + self.running

    @property
    def wait_s(self) -> float:
        """The estimated wait of a new unit in seconds."""
        return sum(item.cost for item in self._queue) * self._seconds_per_cost / self._time.workers

    def submit(self, size: float, done: Outcome, *, live: bool = False, deadline: float | None = None) -> bool:
        """Add a unit to the queue and return True, or refuse it and return False.

        A unit is refused if the queue is full, or if it would probably not start before its deadline.

        ``size``: seconds of audio or characters.
        ``done``: called when the unit has been run or dropped, but not if it is refused.
        ``live``: whether the unit belongs to a live stream.
        ``deadline``: the simulated time by which the unit must have started; None for no limit.
        """
        now = self._clock.now
        if len(self._queue) >= self._time.queue or (deadline is not None and now + self.wait_s > deadline):
            return False
        rank = now - LIVE_LEAD_S * live
        item = Waiting(rank, next(self._numbers), self._time.cost(size), now, live, deadline, done)
        bisect.insort(self._queue, item)
        self._last_arrival = now
        self._start()
        return True

    def _start(self) -> None:
        while self._free:
            self._drop_late()
            if not self._queue:
                return
            patience_s = self._patience_s()
            if patience_s > MOMENT_S:
                self._clock.after(patience_s, self._start)
                return
            batch = self._take()
            self._free -= 1
            self.running += len(batch)
            self.batches[len(batch)] = self.batches.get(len(batch), 0) + 1
            self._serve(batch)

    def _drop_late(self) -> None:
        now = self._clock.now
        late = [item for item in self._queue if item.deadline is not None and item.deadline < now]
        if late:
            self._queue = [item for item in self._queue if item not in late]
            for item in late:
                self._clock.after(0, partial(item.done, False))  # later, because the callback may submit more work

    def _patience_s(self) -> float:
        if not self.running or any(item.live for item in self._queue) or len(self._queue) >= self._most():
            return 0.0
        until = min(self._last_arrival + ARRIVAL_GAP_S, max(self._free_since, self._queue[0].arrived) + GATHER_S)
        return until - self._clock.now

    def _most(self) -> int:
        """Return how many units a batch that begins with the first unit may have now."""
        share = math.ceil((len(self._queue) + self.running) / self._time.workers)
        return min(self._time.limit(self._queue[0].cost), share)

    def _take(self) -> list[Waiting]:
        first = self._queue[0]
        most = self._most()
        batch = [first]
        for item in self._queue[1:]:
            if len(batch) == most:
                break
            limit = self._time.limit(item.cost)
            if self._time.together(item.cost, first.cost) and len(batch) < limit:
                batch.append(item)
                most = min(most, limit)
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
            self._free_since = self._clock.now
            self.running -= len(batch)
            old = self._seconds_per_cost
            self._seconds_per_cost = seconds / cost if old == 0 else old + SMOOTHING * (seconds / cost - old)
            self._start()
            for item in batch:
                item.done(True)

        self._run(self._time.seconds(cost), finished)
