"""Admission control in front of an engine: admit work while its turn can come in time, refuse it at once beyond that.

Admitted work counts until it is done, wherever it is: waiting for a thread, in the batcher's queue or in a batch. New
work has to wait until all of it has been done at the present service rate (Little's law).

The service rate is measured as follows:

- Only while the engine always has something to do. With little to do it makes small batches and seems slow; refusing
  work for that reason would keep it so. A rate measured with less to do counts only if it is higher.
- Of the last few measurements, the second best counts. BBR takes the best one for a link's bandwidth (Cardwell et al.,
  "BBR: Congestion-Based Congestion Control", 2016). Here, work counts when it is done, so the engine seems too fast in
  a measurement in which a long file ends. Therefore the best one alone is not trusted.
- Until there are ``MIN_MEASUREMENTS`` measurements, there is no rate, and only the amount of admitted work is bounded.
  The first second after a start is slower than any other.

A refusal says when there will be room. Each further refusal names a later time, so that the clients do not all come
back at once.

If an inference tier may get more replicas, work may wait longer by that factor (``growth``): whatever the future
replicas can do in time is admitted. So nobody is refused while they start, and the waiting work makes the tier start
them (``inference.scaling``). Rates are stored as if the tier had all its replicas. When some have started, the present
rate is therefore higher at once, and the work that has waited for them delays nobody.

Threads: an ``AdmissionController`` belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from inference.errors import OverCapacity

BUSY = 4  # with this many pieces of work at once, an engine always has something to do
WINDOW_S = 2.0  # shortest measurement of the rate, in busy time; work is done in batches
MIN_MEASUREMENTS = 3  # needed for a rate
MAX_MEASUREMENTS = 5  # kept, so that an engine that has become slower is noticed within ten seconds
LEARNING = 0.05  # weight of the newest piece of work in the estimated cost per byte
LONGEST_RETRY_S = 10.0  # estimates further ahead are not reliable


class _Window:
    """Measures how much work is done in the time in which the window is open.

    The time begins when the first piece of work is done. Before that, work is only under way, which says nothing about
    the rate.
    """

    def __init__(self) -> None:
        self._elapsed = self.done = 0.0
        self._since: float | None = None
        self._counting = False

    @property
    def is_open(self) -> bool:
        return self._since is not None

    def open(self, now: float) -> None:
        self._since = now

    def pause(self, now: float) -> None:
        self._elapsed = self.elapsed(now)
        self._since = None

    def restart(self, now: float | None) -> None:
        """Forget everything. Afterwards the window is open since ``now``, or not open if that is None."""
        self._elapsed = self.done = 0.0
        self._since = now
        self._counting = False

    def count(self, cost: float, now: float) -> float | None:
        """Count work of this cost as done.

        Once ``WINDOW_S`` have been measured, return the rate (cost per second) and begin the next measurement.
        Otherwise return None.
        """
        if not self._counting:
            self.restart(now)
            self._counting = True
            return None
        self.done += cost
        elapsed = self.elapsed(now)
        if elapsed < WINDOW_S:
            return None
        rate = self.done / elapsed
        self.restart(now)
        self._counting = True
        return rate

    def elapsed(self, now: float) -> float:
        return self._elapsed + (now - self._since if self._since is not None else 0.0)


class AdmissionController:
    """Admits or refuses work for one engine.

    Costs are in any unit that work is roughly proportional to (seconds of audio, characters).

    ``longest_s``: work whose turn would come later than this is refused; 0: no such limit.
    ``most``: pieces of work that may be admitted at once.
    ``cost_per_byte``: first estimate of what a request costs per byte, used until its cost is known; corrected by known
    costs.
    ``dearest``: the highest cost that work counts with. Longer work is done in parts, with other work in between.
    ``growth``: returns how many times faster the engine may soon be.
    ``clock``: returns the time in seconds.
    """

    def __init__(
        self,
        *,
        longest_s: float,
        most: int,
        cost_per_byte: float,
        dearest: float,
        growth: Callable[[], float] = lambda: 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed_s = longest_s
        self._most = most
        self._dearest = dearest
        self._clock = clock
        self._growth = growth
        self._cost_per_byte = cost_per_byte
        self._inside = 0
        self._cost = 0.0  # of all admitted work
        # Cost per second, at the engine's full size; the newest last.
        self._rates: deque[float] = deque(maxlen=MAX_MEASUREMENTS)
        self._working = _Window()  # open while there is work; ``_busy``: while there are at least ``BUSY`` pieces
        self._busy = _Window()
        self._last_done = 0.0
        self._room_at = 0.0  # when there will be room for all work that has been refused

    def enter(self, size: int) -> Admitted:
        """Admit work of ``size`` bytes. The caller reports the work's end to the ``Admitted`` that is returned.

        Raises ``OverCapacity``.
        """
        self.check(size)
        if self.wait_s < self._longest_s / 2:  # plenty of room: refused clients have come back, or never will
            self._room_at = 0.0
        cost = self._first_cost(size)
        self._add(cost)
        return Admitted(self, cost, size)

    def check(self, size: int) -> None:
        """Raise ``OverCapacity`` if work of ``size`` bytes would be refused now. Admits nothing."""
        if self.is_full:
            raise OverCapacity(self._retry_after(self._first_cost(size), self.wait_s))

    def _first_cost(self, size: int) -> float:
        return min(self._dearest, max(1.0, size * self._cost_per_byte))

    def _add(self, cost: float) -> None:
        self._inside += 1
        self._cost += cost
        if self._inside == 1:
            self._working.open(self._clock())
        if self._inside == BUSY:
            self._last_done = self._clock()
            self._busy.restart(self._last_done)

    @property
    def _longest_s(self) -> float:
        return self._allowed_s * self._growth()

    @property
    def is_full(self) -> bool:
        """Whether new work would be refused now."""
        return self._inside >= self._most or (self._longest_s > 0 and self.wait_s > self._longest_s)

    @property
    def _rate(self) -> float:
        """Cost per second, at the engine's present size; 0 while unknown."""
        return sorted(self._rates)[-2] / self._growth() if len(self._rates) >= MIN_MEASUREMENTS else 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until all admitted work will be done; 0 while this is unknown.

        While nothing gets done, at least the time since the last piece of work was done.
        """
        rate = self._rate
        by_rate = self._cost / rate if rate else 0.0
        standing_still = self._clock() - self._last_done if self._busy.is_open else 0.0
        return max(by_rate, standing_still)

    def _retry_after(self, cost: float, wait: float) -> float:
        now = self._clock()
        rate = self._rate
        too_long = max(0.0, wait - self._longest_s) if rate and self._longest_s else 0.0
        self._room_at = max(self._room_at, now + too_long)
        retry_s = self._room_at - now
        if rate and retry_s < LONGEST_RETRY_S:
            self._room_at += cost / rate
        # There may be room sooner, but clients that have not been told to wait would take it.
        return min(LONGEST_RETRY_S, max(1.0, self._longest_s, retry_s))

    def _revise(self, admitted: Admitted, cost: float) -> None:
        if admitted.size and cost:
            self._cost_per_byte += LEARNING * (cost / admitted.size - self._cost_per_byte)
        cost = min(self._dearest, cost)
        if not admitted.is_paused:
            self._cost += cost - admitted.cost
        admitted.cost = cost

    def _leave(self, admitted: Admitted, *, done: bool) -> None:
        now = self._clock()
        if done:
            self._last_done = now
        for window in (self._working, self._busy):
            if done and admitted.cost and window.is_open and (rate := window.count(admitted.cost, now)):
                self._measured(rate, was_busy=window is self._busy)
        if not admitted.is_paused:
            self._remove(admitted.cost)

    def _remove(self, cost: float) -> None:
        self._inside -= 1
        self._cost = max(0.0, self._cost - cost) if self._inside else 0.0
        if self._inside < BUSY:
            self._busy.restart(None)
        if not self._inside:
            self._working.pause(self._clock())

    def _measured(self, rate: float, *, was_busy: bool) -> None:
        known = self._rate
        if was_busy or 0 < known < rate:
            self._rates.append(rate * self._growth())


class Admitted:
    """One piece of admitted work."""

    def __init__(self, controller: AdmissionController, cost: float, size: int) -> None:
        self._controller: AdmissionController | None = controller
        self.cost = cost
        self.size = size
        self.is_paused = False

    def revise(self, cost: float) -> None:
        """Set the work's true cost, once it is known; 0 if the engine has nothing to do for it."""
        if self._controller is not None:
            self._controller._revise(self, cost)

    def pause(self) -> None:
        """Stop counting this work while it waits for its client, until ``resume``."""
        if self._controller is not None and not self.is_paused:
            self._controller._remove(self.cost)
            self.is_paused = True

    def resume(self) -> None:
        """Count this work again, because its client is ready for more. It is never refused.

        Does nothing if the work is not paused.
        """
        if self._controller is not None and self.is_paused:
            self._controller._add(self.cost)
            self.is_paused = False

    def leave(self, *, done: bool) -> None:
        """End this work. ``done``: whether all of it was done. Only the first call counts."""
        controller = self._controller
        self._controller = None
        if controller is not None:
            controller._leave(self, done=done)
