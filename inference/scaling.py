"""Decide how many replicas an engine of the inference tier should have, depending on how long work waits.

Each replica measures its throughput (units completed per second) and its capacity (units completed per second while it
always has work). ``replicas_wanted``, a policy for Ray Serve's autoscaler, returns the larger of two numbers:

- the number of replicas at which no replica has more units than it can complete within an acceptable wait. This wait is
  half the wait that admission control allows, so that replicas are added before requests are refused;
- the number of replicas at which each replica is busy for at most ``UTILISATION`` of its time. So a replica is removed
  only if the others can do its work.

The capacity of a replica is unknown until it has been busy for a second. Until then, only the number of units counts.

This module does not import Ray, so that Ray's controller can import it quickly, and tests can run without Ray.

Threads: a ``WorkMeter`` belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Protocol

BUSY = 4  # a replica with at least this many units counts as busy
WINDOW_S = 1.0  # minimum busy time of a measurement
SMOOTHING = 0.3  # weight of the newest measurement
RECENT_S = 10.0  # period over which the throughput is counted
UTILISATION = 0.75  # maximum share of its time for which a replica should be busy
LOOK_BACK_S = 10.0  # period over which Ray averages the number of units under way
DEFAULT_WAIT_S = 1.0  # acceptable wait if admission control has no limit

RATE = "rate"
THROUGHPUT = "throughput"
WAIT = "wait_s"


class WorkMeter:
    """Measures the work of one replica. Call ``begin`` and ``end`` for each unit.

    ``longest_s``: maximum wait that admission control allows, in seconds; 0: no limit.
    """

    def __init__(self, longest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait_s = longest_s / 2 or DEFAULT_WAIT_S
        self._clock = clock
        self._began = clock()
        self._under_way = 0
        self._rate = 0.0
        self._since: float | None = None  # start of the present measurement
        self._done_since = 0
        self._recent: deque[float] = deque()

    def begin(self) -> None:
        self._under_way += 1

    def end(self, *, done: bool) -> None:
        """Record the end of a unit. ``done``: whether the unit was completed."""
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
        if self._since is None:  # the first unit only starts the measurement, because part of it was done before
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
    """The part of Ray's ``TimeStampedValue`` that this module reads."""

    value: float


class Context(Protocol):
    """The part of Ray's ``AutoscalingContext`` that this module reads.

    ``total_num_requests``: number of running and waiting requests in all replicas.
    ``raw_metrics``: recent measurements of each replica, by name of the metric and then by replica.
    ``config``: autoscaling configuration of the deployment.
    """

    total_num_requests: float
    raw_metrics: Mapping[str, Mapping[Any, Sequence[Measured]]] | None
    config: Any


def replicas_wanted(context: Context) -> tuple[float, dict[str, Any]]:
    """Return the number of replicas that a deployment should have. This is an autoscaling policy for Ray Serve.

    Ray rounds the number up, and applies delays and limits. The second value is state that Ray would keep between
    calls; this policy has none.
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
