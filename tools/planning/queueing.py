"""Waiting times in an M/G/c queue: random arrivals, c servers, and any distribution of service times.

Erlang's C formula is exact for M/M/c. The approximation of Allen and Cunneen extends it to other distributions by the
squared coefficients of variation (SCV: variance divided by the square of the mean) of arrivals and service. Times are
in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that an arrival has to wait (Erlang's C formula).

    ``servers``: the number of servers.
    ``offered``: the offered load in erlangs: the mean number of arrivals during one service time. If it is at least
    ``servers``, the result is 1.
    """
    if offered >= servers:
        return 1.0
    blocked = 1.0  # Erlang's B by its recursion, which cannot overflow
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return servers * blocked / (servers - offered * (1 - blocked))


@dataclass(frozen=True)
class Station:
    """A queue with one or several servers.

    ``servers``: the number of servers.
    ``per_second``: arrivals per second.
    ``service_s``: mean service time in seconds.
    ``service_scv``: SCV of the service time.
    ``arrival_scv``: SCV of the time between arrivals; 1 if arrivals are independent of each other.
    """

    servers: int
    per_second: float
    service_s: float
    service_scv: float = 1.0
    arrival_scv: float = 1.0

    @property
    def utilisation(self) -> float:
        """The mean share of the servers that are busy; above 1 if arrivals exceed the capacity."""
        return self.per_second * self.service_s / self.servers

    @property
    def is_stable(self) -> bool:
        return self.utilisation < 1

    @property
    def waits(self) -> float:
        """The probability that an arrival has to wait."""
        return erlang_c(self.servers, self.per_second * self.service_s)

    @property
    def mean_wait_s(self) -> float:
        """The mean wait in seconds (Allen–Cunneen); infinite if arrivals exceed the capacity."""
        if not self.is_stable:
            return math.inf
        return self.waits * self._scale_s

    def wait_s(self, percent: float) -> float:
        """Return a percentile of the wait in seconds; infinite if arrivals exceed the capacity.

        Waits longer than zero are assumed to be exponentially distributed. This is exact for M/M/c.
        """
        if not self.is_stable:
            return math.inf
        beyond = 1 - percent / 100
        return self._scale_s * math.log(self.waits / beyond) if self.waits > beyond else 0.0

    @property
    def _scale_s(self) -> float:
        """The mean in seconds of all waits longer than zero."""
        free = self.servers / self.service_s - self.per_second
        return (self.arrival_scv + self.service_scv) / 2 / free
