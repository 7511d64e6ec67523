"""Admission control in front of an engine: admit work that can start in time, and refuse all other work at once.

A piece of work is one request. Its cost, for example its seconds of audio, is roughly proportional to the time that it
takes. Admitted work counts until it ends, whether it waits for a thread, waits in the batcher's queue, or runs in a
batch. The service rate is the cost that the engine completes per second. The expected wait of new work is the total
cost of the admitted work divided by the service rate (Little's law).

The service rate is measured as follows:

- The rate is measured while the engine is busy. An engine with little work runs small batches and so seems slow. If
  work were refused because of such a measurement, the engine would get even less work. So a measurement with little
  work is used only if it is higher than the known rate.
- The rate is the second highest of the latest measurements. The BBR algorithm estimates a link's bandwidth in a similar
  way, but uses the highest measurement (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016). Here, the
  highest one may be wrong: work counts only when it is done, so the end of one long file makes a measurement too high.
- An engine is slow just after its start, so the rate is unknown until there are ``MIN_MEASUREMENTS`` measurements.
  Before that, work is refused only if too many pieces of work have been admitted, or if a busy engine completes nothing
  for too long.

A refusal tells the client when to retry. Once the rate is known, successive refusals give later and later times (up to
``LONGEST_RETRY_S`` from now), so that the clients do not all retry at once.

The inference tier (the servers that run the models) adds replicas when work waits (``inference.scaling``). So, until
the tier has its maximum number of replicas, work should wait instead of being refused. If the tier may double its
replicas, for example, the limit on the wait is doubled (``growth``). Rates are stored as if the tier already had all
replicas, and are scaled down to the present number when they are read. So the rate rises as soon as a replica has
started.

Threads: an ``AdmissionController`` belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from inference.errors import OverCapacity

BUSY = 4  # an engine with at least this many pieces of work counts as busy
WINDOW_S = 2.0  # minimum duration of a measurement; a shorter one would be inexact, because work is done in batches
MIN_MEASUREMENTS = 3  # number of measurements before the rate is known
MAX_MEASUREMENTS = 5  # number of latest measurements to use, so that a slower engine is noticed within ten seconds
LEARNING = 0.05  # weight of the newest piece of work in the estimated cost per byte
LONGEST_RETRY_S = 10.0  # maximum ``retry_after_s``, because longer estimates are not reliable


class _Window:
    """Measures how much work is completed per second while the window is open.

    The first completed piece of work is not counted, because part of it was done before the window was opened. Its
    completion starts the measurement.
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
        """Discard the measurement. Open the window at the time ``now``, or close it if ``now`` is None."""
        self._elapsed = self.done = 0.0
        self._since = now
        self._counting = False

    def count(self, cost: float, now: float) -> float | None:
        """Count a piece of work as done.

        If the measurement has lasted for ``WINDOW_S``, return the rate (cost per second), and start the next
        measurement. Otherwise return None.
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

    The cost of a piece of work is approximately proportional to the time that it takes. It may be, for example, its
    seconds of audio or its characters of text.

    ``longest_s``: maximum wait in seconds. If the expected wait is longer, new work is refused. 0 means no limit.
    ``most``: maximum number of pieces of work that are admitted at the same time.
    ``cost_per_byte``: initial estimate of the cost of each byte of a request. A request counts with this estimate until
    its real cost is known. The real costs then improve the estimate.
    ``max_counted_cost``: maximum cost with which one piece of work counts. The engine splits longer work into parts and
    does other work in between, so new work does not wait for all of it.
    ``growth``: function that returns the maximum number of replicas in the inference tier, divided by the present
    number.
    ``clock``: function that returns the time in seconds.
    """

    def __init__(
        self,
        *,
        longest_s: float,
        most: int,
        cost_per_byte: float,
        max_counted_cost: float,
        growth: Callable[[], float] = lambda: 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed_s = longest_s
        self._most = most
        self._max_counted_cost = max_counted_cost
        self._clock = clock
        self._growth = growth
        self._cost_per_byte = cost_per_byte
        self._inside = 0
        self._cost = 0.0  # total cost of all admitted work
        # Measured rates in cost per second, as if the tier had all its replicas; the newest rate is last.
        self._rates: deque[float] = deque(maxlen=MAX_MEASUREMENTS)
        self._working = _Window()  # open while there is any work; ``_busy`` is open only while the engine is busy
        self._busy = _Window()
        self._last_done = 0.0
        self._room_at = 0.0  # time at which the engine will have capacity for all work that has been refused

    def enter(self, size: int) -> Admitted:
        """Admit a request of ``size`` bytes, or raise ``OverCapacity`` if it must be refused.

        The caller must call ``leave`` on the result when the work ends.
        """
        self.check(size)
        if self.wait_s < self._longest_s / 2:  # the overload is over, so forget the times given to refused clients
            self._room_at = 0.0
        cost = self._first_cost(size)
        self._add(cost)
        return Admitted(self, cost, size)

    def check(self, size: int) -> None:
        """Raise ``OverCapacity`` if a request of ``size`` bytes would be refused now. Do not admit the request."""
        if self.is_full:
            raise OverCapacity(self._retry_after(self._first_cost(size), self.wait_s))

    def _first_cost(self, size: int) -> float:
        return min(self._max_counted_cost, max(1.0, size * self._cost_per_byte))

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
        """The cost per second that the engine completes with its present replicas; 0 while this is unknown."""
        return sorted(self._rates)[-2] / self._growth() if len(self._rates) >= MIN_MEASUREMENTS else 0.0

    @property
    def wait_s(self) -> float:
        """The estimated time until all admitted work is done, in seconds; 0 while the rate is unknown.

        While the engine is busy, the value is at least the time since the last completion of a piece of work.
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
        # Capacity may become free sooner, but new clients, which were not told to wait, will take it.
        return min(LONGEST_RETRY_S, max(1.0, self._longest_s, retry_s))

    def _revise(self, admitted: Admitted, cost: float) -> None:
        if admitted.size and cost:
            self._cost_per_byte += LEARNING * (cost / admitted.size - self._cost_per_byte)
        cost = min(self._max_counted_cost, cost)
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
    """One admitted piece of work.

    ``cost``: the cost that counts for this work.
    ``size``: size of the request in bytes.
    ``is_paused``: True while the work does not count.
    """

    def __init__(self, controller: AdmissionController, cost: float, size: int) -> None:
        self._controller: AdmissionController | None = controller
        self.cost = cost
        self.size = size
        self.is_paused = False

    def revise(self, cost: float) -> None:
        """Replace the estimated cost of the work by its real cost. Use 0 if the work does not need the engine."""
        if self._controller is not None:
            self._controller._revise(self, cost)

    def pause(self) -> None:
        """Stop counting this work until ``resume`` is called. Use this while the work waits for a slow client."""
        if self._controller is not None and not self.is_paused:
            self._controller._remove(self.cost)
            self.is_paused = True

    def resume(self) -> None:
        """Count this work again after ``pause``. Resumed work is never refused, even if the engine is full.

        Do nothing if the work is not paused.
        """
        if self._controller is not None and self.is_paused:
            self._controller._add(self.cost)
            self.is_paused = False

    def leave(self, *, done: bool) -> None:
        """Stop counting this work, because it has ended. Further calls of any method have no effect.

        ``done``: whether the work was completed.
        """
        controller = self._controller
        self._controller = None
        if controller is not None:
            controller._leave(self, done=done)
