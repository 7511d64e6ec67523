"""Continuous batching: a unit of work joins the units that already run, between any two of their steps.

A decoder writes a text token by token. With a batch, all texts begin together, and a unit that arrives meanwhile waits
until the longest of them ends. Here, it joins before the next step. The other units of the worker pause while it is
prepared (a recording is encoded in 0.1 to 0.4 s), so at most one unit joins per step.

Threads: each worker thread has a session and running units of its own. ``_changed`` guards the queue and the counters
(``inference.scheduler``).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from inference.engine import Unit
from inference.scheduler import QueuedUnit, Scheduler

logger = logging.getLogger(__name__)

U = TypeVar("U", bound=Unit)
UnitT = TypeVar("UnitT", bound=Unit, contravariant=True)
R = TypeVar("R")


class Session(Protocol[UnitT, R]):
    """Runs the units of one worker together."""

    def join(self, key: int, unit: UnitT) -> None:
        """Add a unit. ``key``: returned with its result."""

    def leave(self, key: int) -> None:
        """Remove a unit that has not ended."""

    def step(self) -> list[tuple[int, R | BaseException]]:
        """Do a step of work for each unit. Return the results of the units that have ended, or their errors."""
        ...


class ContinuousBatcher(Scheduler[U, R]):
    """Runs units in worker threads. A unit joins the other units of a worker at the next step.

    ``open_session``: creates the session of a worker. Each worker thread calls it at its start, and again after the
    session has raised an exception, with which all of its units fail. If it fails itself, so does the next unit,
    unless a further call succeeds.
    ``capacity``: maximum total cost of the units that a worker runs together. A unit that costs more runs alone.

    The other parameters are those of ``Scheduler``. A unit whose caller has gone ends before the next step.
    """

    def __init__(
        self, name: str, open_session: Callable[[], Session[U, R]], *, capacity: float = math.inf, **options: Any
    ) -> None:
        super().__init__(name, **options)
        self._open_session = open_session
        self._capacity = capacity

    def _work(self) -> None:
        session = self._opened()
        running: dict[int, QueuedUnit[U, R]] = {}
        since = 0.0  # when the worker was idle for the last time, or units ended
        while True:
            item = self._take_one(running)
            if item is None and not running:
                return
            if item is not None:
                now = time.monotonic()
                since = since if running else now
                item.unit.queued_ms = 1000 * (now - item.arrived)
                running[item.number] = item
            ended: list[tuple[int, R | BaseException]]
            try:
                if session is None:
                    session = self._open_session()
                if item is not None:
                    session.join(item.number, item.unit)
                gone = [key for key, other in running.items() if other.future.cancelled()]
                for key in gone:
                    session.leave(key)
                ended = [(key, CancelledError()) for key in gone] + session.step()
            except BaseException as error:  # noqa: BLE001 callers get whatever the model raises; the worker goes on
                ended = [(key, error) for key in running]
                session = self._opened()
            if ended:
                size = len(running)
                items = [running.pop(key) for key, _ in ended]
                now = time.monotonic()
                self._finish(items, [result for _, result in ended], now - since, size, _cost(running))
                since = now

    def _opened(self) -> Session[U, R] | None:
        try:
            return self._open_session()
        except Exception:
            logger.exception("a worker could not begin or go on", extra={"engine": self.name})
            return None

    def _take_one(self, running: dict[int, QueuedUnit[U, R]]) -> QueuedUnit[U, R] | None:
        """Take the first unit out of the queue, if this worker should run it.

        Wait for a unit only if the worker runs nothing. Return None without a unit if the scheduler is closed.
        """
        with self._changed:
            while True:
                self._drop_late()
                if self._queue and self._has_room(running, self._queue[0]):
                    item = self._queue.pop(0)
                    self._running += 1
                    began, cost = self._running_batches.get(threading.get_ident(), (time.monotonic(), 0.0))
                    self._running_batches[threading.get_ident()] = (began, cost + item.unit.cost)
                    if self._queue:
                        self._changed.notify()  # another worker may be free to run the remaining units
                    return item
                if running or self._closed:
                    return None
                self._changed.wait()

    def _has_room(self, running: dict[int, QueuedUnit[U, R]], item: QueuedUnit[U, R]) -> bool:
        """Return True if this worker should run one more unit, as a fair share of all units and within its capacity."""
        if len(running) >= min(self._share(), item.limit):
            return False
        return not running or _cost(running) + item.unit.cost <= self._capacity


def _cost(running: dict[int, QueuedUnit[U, R]]) -> float:
    return sum(item.unit.cost for item in running.values())
