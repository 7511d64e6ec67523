"""Decide how many replicas an engine of the tier should have, by how long work waits.

Each replica measures how many units it completes per second at present, and its capacity: how many it completes per
second if it always has work. ``replicas_wanted``, a policy for Ray Serve's autoscaler, returns the larger of two
numbers:

- The replicas needed so that no replica has more units than it can complete within an acceptable wait. This wait is
  half of the one that admission control allows, so replicas are added before requests are refused.
- The replicas needed so that each is busy for at most ``UTILISATION`` of its time. So a replica is removed only if the
  others can do its work.

The capacity of a replica is unknown until it has been busy for a second. Until then, only the number of units counts.

This module is plain Python, because Ray's controller imports it, and tests run without Ray.

Threads: a ``WorkMeter`` belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Protocol

BUSY = 4  # with this many units at once, a replica always has work to do
WINDOW_S = 1.0  # shortest measurement, in busy time
SMOOTHING = 0.3  # weight of the newest measurement
RECENT_S = 10.0  # period over which the present throughput is counted
UTILISATION = 0.75  # largest share of its time for which a replica should be busy
LOOK_BACK_S = 10.0  # period over which Ray averages the number of units under way
DEFAULT_WAIT_S = 1.0  # acceptable wait if admission control has no limit

RATE = "rate"
THROUGHPUT = "throughput"
WAIT = "wait_s"


class WorkMeter:
    """Measures the work of one replica. Call ``begin`` and ``end`` for each unit.

    ``longest_s``: longest wait that admission control allows, in seconds; 0 if it has no limit.
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
        """Record the end of a unit. ``done``: whether it was completed."""
        now = self._clock()
        if done:
            self._recent.append(now)
            self._measure(now)
        self._under_way -= 1
        if self._under_way < BUSY:
            self._since = None

    def stats(self) -> dict[str, float]:
        """Return the measurements that ``replicas_wanted`` needs, by name."""
        now = self._clock()
        while self._recent and self._recent[0] < now - RECENT_S:
            self._recent.popleft()
        seconds = max(WINDOW_S, min(RECENT_S, now - self._began))
        return {RATE: self._rate, THROUGHPUT: len(self._recent) / seconds, WAIT: self._wait_s}

    def _measure(self, now: float) -> None:
        if self._under_way < BUSY:
            return
        if self._since is None:  # a measurement begins when a unit is done: the time before says nothing about the rate
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
    """The fields of Ray's ``TimeStampedValue`` that this module reads."""

    value: float


class Context(Protocol):
    """The fields of Ray's ``AutoscalingContext`` that this module reads.

    ``total_num_requests``: number of running and waiting requests in all replicas.
    ``raw_metrics``: recent measurements of each replica, by the name of the metric.
    ``config``: autoscaling configuration of the deployment.
    """

    total_num_requests: float
    raw_metrics: Mapping[str, Mapping[Any, Sequence[Measured]]] | None
    config: Any


def replicas_wanted(context: Context) -> tuple[float, dict[str, Any]]:
    """Return the number of replicas that a deployment should have: an autoscaling policy for Ray Serve.

    The number may be a fraction, which Ray rounds up. Ray also applies delays and limits. The second value is state
    that Ray keeps between calls; it is not used.
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
    """Return each replica's latest measurement of the metric ``name``."""
    series = (context.raw_metrics or {}).get(name, {})
    return [values[-1].value for values in series.values() if values]
