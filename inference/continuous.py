"""Continuous batching: a unit of work joins the units that already run, between any two of their steps.

A decoder writes a text token by token. With a batch, all texts begin together, and a unit that arrives meanwhile waits
until the longest of them ends. Here, it only waits until the next step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from inference.batcher import Scheduler, _Waiting
from inference.engine import Unit

U = TypeVar("U", bound=Unit)
UnitT = TypeVar("UnitT", bound=Unit, contravariant=True)
R = TypeVar("R")


class Session(Protocol[UnitT, R]):
    """Runs the units of one worker together."""

    def join(self, key: int, unit: UnitT) -> None:
        """Add a unit. ``key``: returned with its result."""

    def step(self) -> list[tuple[int, R | BaseException]]:
        """Do a step of work for each unit. Return the results of the units that have ended, or their errors."""
        ...


class ContinuousBatcher(Scheduler[U, R]):
    """Runs units in worker threads. A unit joins the other units of a worker at the next step.

    ``open_session``: creates the session of a worker. Each worker thread calls it once, and again after a session has
    raised an exception, with which all of its units fail.

    The other parameters are those of ``Scheduler``.
    """

    def __init__(self, name: str, open_session: Callable[[], Session[U, R]], **options: Any) -> None:
        super().__init__(name, **options)
        self._open_session = open_session

    def _work(self) -> None:
        session = self._open_session()
        running: dict[int, _Waiting[U, R]] = {}
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
                if item is not None:
                    session.join(item.number, item.unit)
                ended = session.step()
            except BaseException as error:  # noqa: BLE001 callers get whatever the model raises; the worker goes on
                ended = [(key, error) for key in running]
                session = self._open_session()
            if ended:
                size = len(running)
                items = [running.pop(key) for key, _ in ended]
                now = time.monotonic()
                left = sum(other.unit.cost for other in running.values())
                self._finish(items, [result for _, result in ended], now - since, size, left)
                since = now

    def _take_one(self, running: dict[int, _Waiting[U, R]]) -> _Waiting[U, R] | None:
        """Take the first unit out of the queue, if this worker should run it.

        Wait for a unit only if the worker runs nothing. Return None without a unit if the scheduler is closed.
        """
        with self._changed:
            while True:
                self._drop_late()
                if self._queue and len(running) < min(self._share(), self._queue[0].limit):
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
