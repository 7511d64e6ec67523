"""Decide how many replicas a Ray Serve deployment of the inference tier should have, depending on how long work waits.

The inference tier is the group of servers that run the models. A replica is one process that runs the deployment's
engines. Each replica measures two rates: its throughput (units completed per second) and its capacity (units completed
per second while it is busy). ``replicas_wanted``, a policy for Ray Serve's autoscaler, returns the larger of two
numbers:

- The number of replicas that can complete all running and waiting units within an acceptable wait. This wait is half
  the wait that admission control allows, so that replicas are added before requests are refused.
- The number of replicas that can sustain the present throughput while each is busy for at most ``UTILISATION`` of its
  time. Because of this number, a replica is removed only if the others can do its work.

The capacity of a replica is unknown until it has been busy for a second. While no replica's capacity is known, the
number of replicas is the number of units divided by ``target_ongoing_requests``, Ray's setting for units per replica.

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
    """Measures the throughput and the capacity of one replica. Call ``begin`` and ``end`` for each unit.

    ``longest_s``: maximum wait that admission control allows, in seconds; 0 for no limit.
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
        """Return the values that ``replicas_wanted`` needs, by name.

        They are the capacity and the throughput in units per second, and the acceptable wait in seconds.
        """
        now = self._clock()
        while self._recent and self._recent[0] < now - RECENT_S:
            self._recent.popleft()
        seconds = max(WINDOW_S, min(RECENT_S, now - self._began))
        return {RATE: self._rate, THROUGHPUT: len(self._recent) / seconds, WAIT: self._wait_s}

    def _measure(self, now: float) -> None:
        if self._under_way < BUSY:
            return
        if self._since is None:  # the first unit is not counted, because part of it was done earlier
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
    ``raw_metrics``: recent values of each metric, by the metric's name and then by replica.
    ``config``: autoscaling configuration of the deployment.
    """

    total_num_requests: float
    raw_metrics: Mapping[str, Mapping[Any, Sequence[Measured]]] | None
    config: Any


def replicas_wanted(context: Context) -> tuple[float, dict[str, Any]]:
    """Return the number of replicas that a deployment should have. This is an autoscaling policy for Ray Serve.

    Ray rounds the number up, and applies its own delays and limits. The second value is the state that a policy can
    keep between calls. This policy needs no state, so the dictionary is empty.
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
