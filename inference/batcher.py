"""Dynamic batching: units of work that arrive while a batch runs are gathered into the next batch.

A batch consists of the first unit in the queue and of other waiting units that may run together with it.

Threads: see ``inference.scheduler``. Workers take batches with the lock held, and run them without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from inference.engine import Unit
from inference.scheduler import QueuedUnit, Scheduler

# Callers whose units ran in one batch submit their next units at almost the same time. After a longer gap without
# arrivals, all of them have arrived.
ARRIVAL_GAP_S = 0.015
GATHER_S = 0.08  # maximum time that a free worker waits for more units

U = TypeVar("U", bound=Unit)
R = TypeVar("R")


class Batcher(Scheduler[U, R]):
    """Runs units in worker threads, in batches. Each thread runs one batch at a time.

    ``run``: runs a batch, and returns a result or an exception for each unit. If it raises an exception or returns
    another number of results, all units of the batch fail.
    ``key``: returns a unit's key. Units with equal keys may share a batch. Workers call this function with the lock
    held each time they take a batch, so the key may depend on the load at that time. If it raises an exception, or
    the key cannot be compared, the unit fails.

    The other parameters are those of ``Scheduler``.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[list[U]], Sequence[R | Exception]],
        *,
        key: Callable[[U], Hashable] = lambda unit: None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self._run = run
        self._key = key

    def _work(self) -> None:
        while batch := self._take():
            units = [item.unit for item in batch]
            started = time.monotonic()
            for item in batch:
                item.unit.queued_ms = 1000 * (started - item.arrived)
            results: list[R | BaseException]
            try:
                results = [*self._run(units)]
                if len(results) != len(units):
                    raise ValueError(f"{self.name} returned {len(results)} results for {len(units)} units")
            except BaseException as error:  # noqa: BLE001 callers get whatever the model raises; the worker goes on
                results = [error] * len(units)
            self._finish(batch, results, time.monotonic() - started, len(batch), 0.0)

    def _take(self) -> list[QueuedUnit[U, R]]:
        """Wait until units should run, and take them out of the queue as the next batch.

        The batch has the first unit in the queue and other units with the same key. It is empty if the batcher is
        closed.
        """
        with self._changed:
            free_since = time.monotonic()
            while True:
                self._drop_late()
                patience_s = self._patience_s(free_since)
                if self._queue and patience_s <= 0:
                    if batch := self._first_batch():
                        break
                    continue  # the keys of all waiting units failed
                if self._closed:
                    return []
                self._changed.wait(patience_s if self._queue else None)
            self._running += len(batch)
            self._running_batches[threading.get_ident()] = (time.monotonic(), sum(item.unit.cost for item in batch))
            if self._queue:
                self._changed.notify()  # another worker may be free to run the remaining units
            return batch

    def _first_batch(self) -> list[QueuedUnit[U, R]]:
        """Take the first unit, and the units that may run with it, out of the queue.

        If the key of a unit cannot be computed, the unit fails. So the result may be empty.
        """
        limit = self._share()
        batch: list[QueuedUnit[U, R]] = []
        rest: list[QueuedUnit[U, R]] = []
        failed: list[tuple[QueuedUnit[U, R], R | BaseException]] = []
        first_key: Hashable = None
        for item in self._queue:
            try:
                key = self._key(item.unit)
                is_other = key != (first_key if batch else key)  # the first key, too, must be comparable
            except Exception as error:  # noqa: BLE001 it must not end the worker
                failed.append((item, error))
                continue
            if not batch:
                first_key = key
            elif is_other or len(batch) >= min(limit, item.limit):
                rest.append(item)
                continue
            batch.append(item)
            limit = min(limit, item.limit)
        self._queue = rest
        self._resolve(failed)
        return batch

    def _patience_s(self, free_since: float) -> float:
        """Return how many more seconds a free worker should wait for a larger batch. 0 or less means: start now.

        A short wait pays off, because a batch of five units takes little longer than a batch of two. A worker waits
        only while other workers are running batches and units keep arriving. The CPU is not idle meanwhile: it reads
        and decodes the requests that arrive.

        ``free_since``: time at which the worker became free, in seconds of ``time.monotonic()``.
        """
        if not self._running or not self._queue or any(item.unit.live for item in self._queue):
            return 0.0
        first = self._queue[0]
        if len(self._queue) >= min(first.limit, self._share()):
            return 0.0
        until = min(self._last_arrival + ARRIVAL_GAP_S, max(free_since, first.arrived) + GATHER_S)
        return until - time.monotonic()
