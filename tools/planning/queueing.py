"""M/G/c: many who ask, c who serve, any distribution of the service time.

Erlang's C is exact for M/M/c. Allen and Cunneen's approximation carries it to other service times by the squared
coefficients of variation (variance over the square of the mean) of arrivals and service. Times in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def erlang_c(servers: int, offered: float) -> float:
    """The probability that an arrival has to wait. ``offered``: arrivals in one mean service time. 1 when they are too
    many."""
    if offered >= servers:
        return 1.0
    blocked = 1.0  # Erlang's B by its recursion, which cannot overflow
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return servers * blocked / (servers - offered * (1 - blocked))


@dataclass(frozen=True)
class Station:
    """``per_second``: arrivals. ``service_s``: mean. ``service_scv``, ``arrival_scv``: variance over squared mean; 1
    for arrivals that do not know of each other."""

    servers: int
    per_second: float
    service_s: float
    service_scv: float = 1.0
    arrival_scv: float = 1.0

    @property
    def utilisation(self) -> float:
        return self.per_second * self.service_s / self.servers

    @property
    def is_stable(self) -> bool:
        return self.utilisation < 1

    @property
    def waits(self) -> float:
        """The probability of having to wait."""
        return erlang_c(self.servers, self.per_second * self.service_s)

    @property
    def mean_wait_s(self) -> float:
        """Allen–Cunneen. Infinite when there are too many arrivals."""
        if not self.is_stable:
            return math.inf
        return self.waits * self._scale_s

    def wait_s(self, percent: float) -> float:
        """Return the percentile of the wait. Waits of those who wait are taken as exponentially distributed: exact for
        M/M/c."""
        if not self.is_stable:
            return math.inf
        beyond = 1 - percent / 100
        return self._scale_s * math.log(self.waits / beyond) if self.waits > beyond else 0.0

    @property
    def _scale_s(self) -> float:
        """The mean wait of those who wait."""
        free = self.servers / self.service_s - self.per_second
        return (self.arrival_scv + self.service_scv) / 2 / free
