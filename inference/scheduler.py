"""Queue units of work for an engine's worker threads, estimate their wait, and refuse those that would wait too long.

A unit is one model input, such as a speech segment or a sentence (``inference.engine.Unit``). Subclasses of
``Scheduler`` decide which units a worker runs together: ``inference.batcher`` and ``inference.continuous``.

Threads: ``submit`` may be called on several event loops. The condition ``_changed`` guards ``_queue`` and the counters.
Worker threads take units, run them without the lock, and return results by ``loop.call_soon_threadsafe``. A future is
used only on its own loop.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core import tracing
from inference.engine import EngineStats, Unit
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity

logger = logging.getLogger(__name__)

LIVE_LEAD_S = 2.0  # live units are queued as if they had arrived this much earlier, so they cannot starve others
SMOOTHING = 0.2  # weight of the newest batch in the measured time per cost
UTILISATION_WINDOW_S = 10.0  # time constant of the average that is an engine's utilisation
RECOVERY_S = 5.0  # time constant with which an idle engine's estimated pace returns to ``fastest``

U = TypeVar("U", bound=Unit)
R = TypeVar("R")


@dataclass(order=True)
class QueuedUnit(Generic[U, R]):
    """A unit in the queue. Units are ordered by ``rank``, then by ``number``.

    ``rank``: time of arrival in seconds of ``time.monotonic()``, plus ``slack_s``, minus ``LIVE_LEAD_S`` if live.
    ``number``: number of the unit in order of arrival.
    ``limit``: maximum size of a batch that contains the unit.
    """

    rank: float
    number: int
    unit: U = field(compare=False)
    limit: int = field(compare=False)
    arrived: float = field(compare=False)
    future: asyncio.Future[R] = field(compare=False)


class Scheduler(ABC, Generic[U, R]):
    """Queues units for worker threads, estimates how long they will wait, and refuses units that would wait too long.

    A subclass decides which units a worker runs together (``_work``).

    ``limit``: returns the maximum number of units that run together with the given unit. Called once for each unit.
    ``workers``: number of threads.
    ``max_queue``: maximum number of waiting units. Further units are refused, unless they are admitted units.
    ``on_batch``: called after each batch, with the batch's size and duration in seconds. Its errors are only logged.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: Callable[[U], int] = lambda unit: 16,
        workers: int = 1,
        max_queue: int = 256,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self.name = name
        self._limit = limit
        self._on_batch = on_batch
        self._workers = workers
        self._max_queue = max_queue
        self._changed = threading.Condition()
        self._queue: list[QueuedUnit[U, R]] = []
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._running = self._units = self._batches = self._largest = 0
        self._busy_s = self._seconds_per_cost = 0.0
        self._fastest = 0.0  # seconds per cost; 0: unknown
        self._idle_since = 0.0
        self._utilisation = 0.0  # due to batches that have ended, at the time ``_utilisation_at``
        self._utilisation_at = 0.0
        self._last_arrival = 0.0
        self._running_batches: dict[int, tuple[float, float]] = {}  # start time and cost of each thread's batch

    def start(self, *, fastest: float = 0.0) -> None:
        """Start the worker threads.

        ``fastest``: seconds that a unit of cost 1 takes on an idle engine. While the engine is idle, the estimated pace
        gradually returns to this value. With 0, the last estimate is kept instead. Use 0 if the duration of a batch
        depends little on its cost.
        """
        self._closed = False
        self._fastest = fastest
        self._threads = [
            threading.Thread(target=self._work, name=f"{self.name}-{index}", daemon=True)
            for index in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Refuse the waiting units, and block until the running batches end. Do not call this on an event loop."""
        with self._changed:
            self._closed = True
            waiting = self._queue
            self._queue = []
            self._changed.notify_all()
        self._resolve([(item, EngineUnavailable(f"{self.name} is closing")) for item in waiting])
        for thread in self._threads:
            thread.join()

    async def submit(self, unit: U) -> R:
        """Run a unit in a batch, and return its result.

        Raise ``EngineUnavailable`` if the batcher is not running, ``DeadlineExceeded`` if the unit's deadline passes in
        the queue, or the model's error. Raise ``OverCapacity`` if the unit would start too late or the queue is full;
        units with ``admitted`` are exempt from this check.
        """
        now = time.monotonic()
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        rank = now - LIVE_LEAD_S * unit.live + unit.slack_s
        item = QueuedUnit(rank, next(self._numbers), unit, max(1, self._limit(unit)), now, future)
        with self._changed:
            self._admit(unit, now)
            self._seconds_per_cost = self._pace()
            bisect.insort(self._queue, item)
            self._last_arrival = now
            self._changed.notify()
        with tracing.span(f"engine {self.name}", engine=self.name, live=unit.live) as span:
            try:
                return await future
            except asyncio.CancelledError:
                self._withdraw(item)
                raise
            finally:
                span.set_attributes(queued_ms=unit.queued_ms, cost=unit.cost)

    def stats(self) -> EngineStats:
        with self._changed:
            return EngineStats(
                ready=self._is_running(),
                queue_length=len(self._queue),
                running=self._running,
                units=self._units,
                batches=self._batches,
                largest_batch=self._largest,
                busy_s=self._busy_s,
                estimated_wait_s=self._wait(),
                backlog_s=self._backlog(),
                seconds_per_cost=self._pace(),
                utilisation=self._recent_utilisation(),
                fastest_seconds_per_cost=self._fastest,
                workers=self._workers,
            )

    def _is_running(self) -> bool:
        return not self._closed and bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def _admit(self, unit: U, now: float) -> None:
        if not self._is_running():
            raise EngineUnavailable(f"{self.name} is not running")
        if unit.admitted:
            return
        wait = self._wait()
        late = unit.deadline is not None and now + wait > unit.deadline
        if late or len(self._queue) >= self._max_queue:
            raise OverCapacity(max(1.0, wait))

    def _withdraw(self, item: QueuedUnit[U, R]) -> None:
        """Take a unit whose caller has been cancelled out of the queue, if it is still there."""
        with self._changed:
            self._queue = [waiting for waiting in self._queue if waiting is not item]

    def _wait(self) -> float:
        """Return the estimated time in seconds until a unit that arrives now would start.

        This is the total cost of the units before it in the queue, multiplied by the measured time per cost. Units with
        enough ``slack_s`` do not count, because they would run after it.
        """
        now = time.monotonic()
        return self._time_for(item for item in self._queue if item.rank <= now)

    def _time_for(self, waiting: Iterable[QueuedUnit[U, R]]) -> float:
        cost = sum(item.unit.cost for item in waiting)
        return float(cost * self._seconds_per_cost / self._workers)

    def _pace(self) -> float:
        """Return the engine's estimated pace: the seconds that a unit of cost 1 takes at present.

        While the engine is idle, the estimate gradually returns from the last measured pace to the fastest pace, if the
        fastest pace is known.
        """
        if not self._fastest or self._queue or self._running:
            return self._seconds_per_cost
        idle_s = time.monotonic() - self._idle_since
        return self._fastest + (self._seconds_per_cost - self._fastest) * math.exp(-idle_s / RECOVERY_S)

    def _recent_utilisation(self) -> float:
        """Return the workers' utilisation, from 0 to 1, as a moving average that weights recent time most.

        A running batch counts for the time that it has run so far.
        """
        now = time.monotonic()
        running = sum(_recent_share(now - began) for began, _cost in self._running_batches.values())
        return min(1.0, self._ended_utilisation(now) + running / self._workers)

    def _ended_utilisation(self, now: float) -> float:
        """Return the part of the utilisation that is due to batches that have ended."""
        return self._utilisation * math.exp((self._utilisation_at - now) / UTILISATION_WINDOW_S)

    def _note_work(self, seconds: float) -> None:
        """Update the utilisation after a batch that ran for ``seconds``."""
        now = time.monotonic()
        self._utilisation = min(1.0, self._ended_utilisation(now) + _recent_share(seconds) / self._workers)
        self._utilisation_at = now

    def _backlog(self) -> float:
        """Return the estimated delay, in seconds, of the most delayed unit in the queue or in a running batch.

        A unit's delay is the time between the moment at which its result is needed and the moment at which the result
        will be ready. The results of running units and of units without slack are needed now.
        """
        now = time.monotonic()
        running = self._running_batches.values()
        done_s = sum(max(0.0, cost * self._seconds_per_cost - (now - began)) for began, cost in running) / self._workers
        latest_s = done_s
        for item in self._queue:
            done_s += self._time_for([item])
            left_s = item.rank + LIVE_LEAD_S * item.unit.live - now
            latest_s = max(latest_s, done_s - max(0.0, left_s))
        return latest_s

    @abstractmethod
    def _work(self) -> None:
        """Run units until the scheduler is closed. Each worker thread calls this once."""

    def _share(self) -> int:
        """Return the maximum number of units that a worker should run together.

        It is an equal share of those waiting and running. If one worker took more units, the others would have too few,
        and the last result would be ready later.
        """
        return math.ceil((len(self._queue) + self._running) / self._workers)

    def _drop_late(self) -> None:
        now = time.monotonic()
        late = [item for item in self._queue if item.unit.deadline is not None and item.unit.deadline < now]
        self._queue = [item for item in self._queue if item not in late]
        self._resolve([(item, DeadlineExceeded(max(1.0, self._wait()))) for item in late])

    def _finish(
        self,
        batch: list[QueuedUnit[U, R]],
        results: list[R | BaseException],
        seconds: float,
        size: int,
        cost_left: float,
    ) -> None:
        """Count units that have ended, and return their results.

        ``seconds``: how long the worker has worked for them, that is, since it was idle or other units ended.
        ``size``: number of units that ran together.
        ``cost_left``: total cost of the worker's units that are still running.
        """
        with self._changed:
            now = time.monotonic()
            self._running_batches.pop(threading.get_ident(), None)
            if cost_left:
                self._running_batches[threading.get_ident()] = (now, cost_left)
            self._idle_since = now
            self._running -= len(batch)
            self._units += len(batch)
            self._batches += 1
            self._largest = max(self._largest, size)
            self._busy_s += seconds
            self._note_work(seconds)
            cost = sum(item.unit.cost for item in batch)
            if cost > 0 and not any(isinstance(result, BaseException) for result in results):
                self._note_pace(seconds / cost)
        try:
            self._on_batch(size, seconds)
        except Exception:  # the results matter more than whoever observes the batches
            logger.exception("a batch could not be reported", extra={"engine": self.name})
        self._resolve(list(zip(batch, results, strict=True)))

    def _note_pace(self, per_cost: float) -> None:
        """Update the estimated pace after a successful batch.

        ``per_cost``: duration of the batch in seconds, divided by the total cost of its units.
        """
        old = self._seconds_per_cost
        self._seconds_per_cost = per_cost if old == 0 else old + SMOOTHING * (per_cost - old)
        if self._fastest:
            self._fastest = min(self._fastest, per_cost)

    @staticmethod
    def _resolve(outcomes: Sequence[tuple[QueuedUnit[U, R], R | BaseException]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[R], R | BaseException]]] = defaultdict(list)
        for item, outcome in outcomes:
            by_loop[item.future.get_loop()].append((item.future, outcome))
        for loop, futures in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, futures)
            except RuntimeError:  # the event loop is closed, so no caller waits for the results
                continue


def _recent_share(seconds: float) -> float:
    """Return the weight of the last ``seconds`` in the moving average of the utilisation. All weights add up to 1."""
    return 1 - math.exp(-seconds / UTILISATION_WINDOW_S)


def _settle(futures: list[tuple[asyncio.Future[R], R | BaseException]]) -> None:
    for future, outcome in futures:
        if future.done():
            continue
        if not isinstance(outcome, BaseException):
            future.set_result(outcome)
        elif isinstance(outcome, StopIteration) or not isinstance(outcome, Exception):
            # A future does not take a StopIteration, and a SystemExit would end the caller's event loop.
            future.set_exception(RuntimeError(f"the model raised {type(outcome).__name__}"))
        else:
            future.set_exception(outcome)
