"""Simulated time, and a simulated processor whose cores are shared by all threads that have work."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable

Action = Callable[[], None]


class Clock:
    """Simulated time: runs scheduled actions in the order of their times.

    Actions with equal times run in the order in which they were scheduled.

    ``now``: the current simulated time in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, action: Action) -> None:
        """Schedule an action to run after this many simulated seconds."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), action))

    def run(self, until: float) -> None:
        """Run all actions that are due up to and including the time ``until``."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _number, action = heapq.heappop(due)
            action()
        self.now = max(self.now, until)


class Level:
    """A count that changes over simulated time, and the integral of the count.

    ``now``: the current count.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = 0.0
        self._sum = 0.0
        self.now = 0

    def change(self, by: int) -> None:
        self._sum += self.now * (self._clock.now - self._since)
        self._since = self._clock.now
        self.now += by

    @property
    def sum_s(self) -> float:
        """The integral of the count from the beginning until now, in seconds."""
        return self._sum + self.now * (self._clock.now - self._since)


class Machine:
    """A processor whose cores are shared evenly by all threads that have work.

    No thread gets more than one core. This is like an operating system's scheduler with infinitely short time slices.
    """

    def __init__(self, clock: Clock, cores: float) -> None:
        self._clock = clock
        self._cores = cores
        # CPU seconds that a thread would have had if it had run from the beginning. All running threads advance at the
        # same rate, so each ends when this number reaches the mark stored with it in the heap.
        self._done_by_each = 0.0
        self._since = 0.0
        self._running: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._version = 0
        self._used = 0.0

    @property
    def used_s(self) -> float:
        """The CPU time that all threads together have used so far, in seconds."""
        self._advance()
        return self._used

    @property
    def running(self) -> int:
        """The number of threads that have work."""
        return len(self._running)

    def work(self, seconds: float, done: Action) -> None:
        """Start a thread that needs this many CPU seconds, and call ``done`` when it has had them."""
        self._advance()
        heapq.heappush(self._running, (self._done_by_each + seconds, next(self._numbers), done))
        self._plan()

    def _rate(self) -> float:
        return min(1.0, self._cores / len(self._running)) if self._running else 0.0

    def _advance(self) -> None:
        now = self._clock.now
        if self._running:
            step = (now - self._since) * self._rate()
            self._done_by_each += step
            self._used += step * len(self._running)
        self._since = now

    def _plan(self) -> None:
        self._version += 1
        if self._running:
            version = self._version
            wait = max(0.0, self._running[0][0] - self._done_by_each) / self._rate()
            self._clock.after(wait, lambda: self._finish(version))

    def _finish(self, version: int) -> None:
        if version != self._version:
            return  # outdated: another thread began or ended after this was scheduled
        self._advance()
        mark, _number, done = heapq.heappop(self._running)
        self._done_by_each = max(self._done_by_each, mark)
        self._plan()
        done()


class Threads:
    """A pool of ``count`` threads on one machine, which take jobs from one queue in the order of arrival."""

    def __init__(self, machine: Machine, count: int) -> None:
        self._machine = machine
        self._free = count
        self._waiting: deque[tuple[float, Action]] = deque()

    def work(self, seconds: float, done: Action) -> None:
        """Run a job that needs this many CPU seconds as soon as a thread is free, and call ``done`` at its end."""
        if self._free:
            self._free -= 1
            self._begin(seconds, done)
        else:
            self._waiting.append((seconds, done))

    def _begin(self, seconds: float, done: Action) -> None:
        def finished() -> None:
            if self._waiting:
                self._begin(*self._waiting.popleft())
            else:
                self._free += 1
            done()

        self._machine.work(seconds, finished)
