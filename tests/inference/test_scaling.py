"""How many replicas the tier asks for, given measurements of its replicas.

Time is simulated. A replica handles one unit after another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from inference.scaling import WorkMeter, replicas_wanted

LONGEST_S = 1.6  # a wait as VOICE_ASR_WAIT_S sets it
ONGOING = 24


class Replica:
    """A replica that handles ``per_second`` units per second, one after another."""

    def __init__(self, per_second: float) -> None:
        self.now = 100.0
        self.meter = WorkMeter(LONGEST_S, lambda: self.now)
        self.per_second = per_second

    def work(self, seconds: float, *, holding: int) -> None:
        """Work for some seconds, with ``holding`` units in progress all the time."""
        for _ in range(holding):
            self.meter.begin()
        for _ in range(round(seconds * self.per_second)):
            self.now += 1 / self.per_second
            self.meter.end(done=True)
            self.meter.begin()
        for _ in range(holding):
            self.meter.end(done=False)

    def idle(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Asked:
    """The argument that Ray's controller passes to the scaling policy."""

    total_num_requests: float
    replicas: list[Replica]
    config: Any = field(default_factory=lambda: SimpleNamespace(get_target_ongoing_requests=lambda: ONGOING))

    @property
    def raw_metrics(self) -> dict[str, dict[Any, Any]]:
        stats = {number: replica.meter.stats() for number, replica in enumerate(self.replicas)}
        return {
            name: {
                number: [SimpleNamespace(value=-1.0), SimpleNamespace(value=one[name])] for number, one in stats.items()
            }
            for name in ("rate", "throughput", "wait_s")
        }


def wanted(under_way: float, *replicas: Replica) -> float:
    return replicas_wanted(Asked(under_way, list(replicas)))[0]


def test_it_works() -> None:
    replica = Replica(8)
    replica.work(20, holding=12)
    # One replica should hold 6.4 units: 8 per second for 0.8 s, half of LONGEST_S. So 12.8 units, which admission
    # control allows, need two replicas.
    assert wanted(12.8, replica) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("per_second", [1.5, 8, 40, 300])
def test_a_full_replica_requests_another(per_second: float) -> None:
    """Admission control must allow more units than one replica should have. Otherwise no replica would be added."""
    replica = Replica(per_second)
    replica.work(20, holding=8)
    assert wanted(per_second * LONGEST_S, replica) > 1.5


def test_needed_replicas_are_kept() -> None:
    """Three replicas that share 16 units per second have no queue, but a single one could not handle them."""
    replicas = [Replica(8) for _ in range(3)]
    for replica in replicas:
        replica.work(5, holding=8)
        replica.per_second = 16 / 3
        replica.work(10, holding=2)
    assert 2 < wanted(3, *replicas) <= 3


def test_unneeded_replicas_are_removed() -> None:
    replicas = [Replica(8) for _ in range(3)]
    for replica in replicas:
        replica.work(5, holding=8)
        replica.idle(30)
    assert wanted(0, *replicas) == 0  # Ray itself keeps the minimum


def test_a_replica_that_was_never_busy_has_no_measured_speed() -> None:
    replica = Replica(8)
    replica.work(20, holding=2)
    assert replica.meter.stats()["rate"] == 0
    assert wanted(ONGOING, replica) == pytest.approx(1)


def test_a_new_replica_does_not_change_the_estimate() -> None:
    old = Replica(8)
    new = Replica(8)
    old.work(20, holding=12)
    assert wanted(12.8, old, new) == pytest.approx(wanted(12.8, old))
