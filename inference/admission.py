"""Admission control in front of an engine: admit work while its turn can come in time, refuse it at once beyond that.

All work counts that has been admitted and is not done, wherever it is: waiting for a thread, in the batcher's queue or
in a batch. New work waits until that much has been done, at the present service rate (Little's law). The rate is
measured only while there is always something to do, and the second best of the last few measurements is taken.

The best is what BBR takes for a link's bandwidth (Cardwell et al., "BBR: Congestion-Based Congestion Control",
2016): an engine with little to do makes small batches and seems slow, and whoever were refused for that would keep it
there. But work counts when it is done, so the window in which a long file ends seems faster than the engine is: the
best alone is not believed. Until the rate has been measured ``MIN_MEASUREMENTS`` times only the length counts: the
first second after a start is slower than any other.

A refusal says when there will be room, and each following one names a later time, so that clients that come back when
they were told to find room instead of each other.

Where an inference tier may get more replicas than it has, work may wait longer by that factor: what is let in is what
all of them could do in time, so nobody is sent away while they come, and it is this work that makes the tier ask for
them (``inference.scaling``). Rates are remembered as those of all replicas that there may be. So when some have come,
the present rate is known to be higher at once, and what has waited for them stands in nobody's way.

Threads: an ``AdmissionController`` belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from inference.errors import OverCapacity

BUSY = 4  # pieces of work at once that keep an engine from ever having nothing to do
WINDOW_S = 2.0  # of being busy, at least, for one measurement of the rate: what is done comes in batches
MIN_MEASUREMENTS = 3  # for a rate
MAX_MEASUREMENTS = 5  # remembered: an engine that got slower is noticed within ten seconds
LEARNING = 0.05  # weight of the newest piece of work in what a byte of it costs
LONGEST_RETRY_S = 10.0  # who knows what is further away


class _Window:
    """How much is done in the time in which it is open. That time begins with the first piece that is done: until then
    everything is on its way, and says nothing of the rate."""

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
        """Forget everything; open since ``now`` or not open."""
        self._elapsed = self.done = 0.0
        self._since = now
        self._counting = False

    def count(self, cost: float, now: float) -> float | None:
        """Note what has been done; the rate once ``WINDOW_S`` have been measured, and then the next measurement
        begins."""
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
    """``longest_s``: who would wait longer for their turn is refused; 0 for no such limit. ``most``: pieces of work at
    once. ``cost_per_byte``: what a request's size says of its cost before anything is known of this one; learnt.
    ``dearest``: nobody stands in the others' way with more than this, since long work is done a part at a time.
    ``growth``: how many times faster the engine may soon be.

    Costs are in any unit that work is roughly proportional to (seconds of audio, characters)."""

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
        self._cost = 0.0  # of all inside
        # Cost per second, at the engine's full size; the newest last.
        self._rates: deque[float] = deque(maxlen=MAX_MEASUREMENTS)
        self._working = _Window()  # while anybody is inside; while at least ``BUSY`` are
        self._busy = _Window()
        self._last_done = 0.0
        self._room_at = 0.0  # when there will be room for everybody who has been refused

    def enter(self, size: int) -> Admitted:
        """Let in work of ``size`` bytes. The caller tells the ``Admitted`` it gets when the work is done. Raises
        ``OverCapacity``."""
        self.check(size)
        if self.wait_s < self._longest_s / 2:  # plenty of room: those who were sent away have been, or never will
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
        """Seconds until all admitted work will be done; 0 while this is unknown. While nothing gets done, at least as
        long as that has lasted.
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
        # Sooner there might be room, but somebody who has not been told to wait would take it.
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
    """One piece of work inside."""

    def __init__(self, controller: AdmissionController, cost: float, size: int) -> None:
        self._controller: AdmissionController | None = controller
        self.cost = cost
        self.size = size
        self.is_paused = False

    def revise(self, cost: float) -> None:
        """Set the work's true cost, now known; 0 if no engine has to work for it."""
        if self._controller is not None:
            self._controller._revise(self, cost)

    def pause(self) -> None:
        """Stop counting this work while it waits for its client, until ``resume``."""
        if self._controller is not None and not self.is_paused:
            self._controller._remove(self.cost)
            self.is_paused = True

    def resume(self) -> None:
        """Count this work again: its client is ready for more. Admitted work is not refused now. Does nothing without a
        pause.
        """
        if self._controller is not None and self.is_paused:
            self._controller._add(self.cost)
            self.is_paused = False

    def leave(self, *, done: bool) -> None:
        """End this work; ``done`` if all of it was done. Only the first call counts."""
        controller = self._controller
        self._controller = None
        if controller is not None:
            controller._leave(self, done=done)
