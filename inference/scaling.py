"""How many replicas an engine of the tier should have: by how long work waits, not by how much is under way.

Each replica measures how many units per second it completes now, and how many when it always has something to do (its
capacity). ``replicas_wanted``, a policy for Ray Serve's autoscaler, asks for the larger of two numbers:

- Replicas for the units under way, so that each replica has no more units than it can complete within an acceptable
  wait. That is half of what admission control allows, so that replicas are added before anybody is refused.
- Replicas for the units completed per second, so that each is busy for at most ``UTILISATION`` of its time. So no
  replica is removed whose work the others could not take over.

Until a replica has been busy for a second its capacity is unknown, and only the number of units under way counts.

Plain Python, because Ray's controller imports this module and tests run without Ray.

Threads: a ``WorkMeter`` belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Protocol

BUSY = 4  # with this many units at once, a replica always has something to do
WINDOW_S = 1.0  # shortest measurement, in busy time
SMOOTHING = 0.3  # weight of the newest measurement
RECENT_S = 10.0  # period over which the present throughput is counted
UTILISATION = 0.75  # share of its time for which a replica should be busy at most
LOOK_BACK_S = 10.0  # period over which Ray averages the number of units under way
DEFAULT_WAIT_S = 1.0  # acceptable wait where admission control has no limit

RATE = "rate"
THROUGHPUT = "throughput"
WAIT = "wait_s"


class WorkMeter:
    """Measures the work of one replica. Call ``begin`` and ``end`` for each unit.

    ``stats`` returns what Ray asks for (``record_autoscaling_stats``).

    ``longest_s``: seconds for which admission control lets requests wait; 0 where it has no limit.
    """

    def __init__(self, longest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait_s = longest_s / 2 or DEFAULT_WAIT_S
        self._clock = clock
        self._began = clock()
        self._under_way = 0
        self._rate = 0.0
        self._since: float | None = None  # when the present measurement began
        self._done_since = 0
        self._recent: deque[float] = deque()

    def begin(self) -> None:
        self._under_way += 1

    def end(self, *, done: bool) -> None:
        now = self._clock()
        if done:
            self._recent.append(now)
            self._measure(now)
        self._under_way -= 1
        if self._under_way < BUSY:
            self._since = None

    def stats(self) -> dict[str, float]:
        now = self._clock()
        while self._recent and self._recent[0] < now - RECENT_S:
            self._recent.popleft()
        seconds = max(WINDOW_S, min(RECENT_S, now - self._began))
        return {RATE: self._rate, THROUGHPUT: len(self._recent) / seconds, WAIT: self._wait_s}

    def _measure(self, now: float) -> None:
        if self._under_way < BUSY:
            return
        if self._since is None:  # measure from the first unit that is done: the time before says nothing about the rate
            self._since = now
            self._done_since = 0
            return
        self._done_since += 1
        if now - self._since < WINDOW_S:
            return
        rate = self._done_since / (now - self._since)
        self._rate += (SMOOTHING if self._rate else 1.0) * (rate - self._rate)
        self._since = now
        self._done_since = 0


class Measured(Protocol):
    """The fields of Ray's ``TimeStampedValue`` that are read here."""

    value: float


class Context(Protocol):
    """The fields of Ray's ``AutoscalingContext`` that are read here.

    ``total_num_requests``: requests under way and waiting, over all replicas.
    ``raw_metrics``: by name, the recent measurements of each replica.
    ``config``: the deployment's autoscaling configuration.
    """

    total_num_requests: float
    raw_metrics: Mapping[str, Mapping[Any, Sequence[Measured]]] | None
    config: Any


def replicas_wanted(context: Context) -> tuple[float, dict[str, Any]]:
    """Return the number of replicas to have. An autoscaling policy of Ray Serve, which adds delays and bounds.

    The number may be a fraction; Ray rounds it up. The second value, which Ray keeps between calls, is not used.
    """
    rates = [rate for rate in _newest(context, RATE) if rate > 0]
    if not rates:
        return context.total_num_requests / context.config.get_target_ongoing_requests(), {}
    rate = fmean(rates)
    wait_s = fmean(_newest(context, WAIT))
    by_wait = context.total_num_requests / max(1.0, rate * wait_s)
    by_use = sum(_newest(context, THROUGHPUT)) / (rate * UTILISATION)
    return max(by_wait, by_use), {}


def _newest(context: Context, name: str) -> list[float]:
    """Return the latest measurement ``name`` of each replica."""
    series = (context.raw_metrics or {}).get(name, {})
    return [values[-1].value for values in series.values() if values]
