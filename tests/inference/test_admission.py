"""Admission control: which requests are admitted, and when refused callers should return.

Time is simulated.
"""

from __future__ import annotations

import pytest

from inference.admission import BUSY, AdmissionController, Admitted
from inference.errors import OverCapacity


class Shop:
    """Admission control with a simulated engine, which handles requests in the order of their arrival.

    ``per_second``: how many requests of 1000 bytes (cost 1) the engine handles per second.
    ``changes``: other arguments for the controller.
    """

    def __init__(self, per_second: float = 10.0, **changes: float) -> None:
        self.now = 100.0
        self.controller = AdmissionController(
            **{"longest_s": 2.0, "most": 1000, "cost_per_byte": 0.001, "max_counted_cost": 5.0} | changes, clock=self
        )
        self.per_second = per_second
        self.inside: list[Admitted] = []
        self.refusals: list[float] = []

    def __call__(self) -> float:
        return self.now

    def arrive(self, count: int = 1, size: int = 1000) -> int:
        """Let requests arrive; return how many were admitted."""
        before = len(self.inside)
        for _ in range(count):
            try:
                self.inside.append(self.controller.enter(size))
            except OverCapacity as refusal:
                self.refusals.append(refusal.retry_after_s)
        return len(self.inside) - before

    def work(self, seconds: float) -> None:
        for _ in range(round(seconds * self.per_second)):
            self.now += 1 / self.per_second
            if self.inside:
                self.inside.pop(0).leave(done=True)

    def warm_up(self) -> None:
        """Keep the engine busy until its rate has been measured, then let it finish all requests."""
        for _ in range(70):
            self.arrive(2 * BUSY - len(self.inside))
            self.work(0.1)
        self.empty()

    def empty(self) -> None:
        while self.inside:
            self.work(1 / self.per_second)


def test_it_works() -> None:
    shop = Shop()
    shop.warm_up()
    assert shop.arrive(100) == 21  # the last one has 2 s of work before it
    assert shop.controller.is_full
    assert len(shop.refusals) == 79


def test_nobody_is_refused_before_the_speed_is_known() -> None:
    assert Shop().arrive(200) == 200


def test_a_slow_start_refuses_nobody() -> None:
    """A process is slowest in its first seconds, so they do not count when its rate is measured."""
    shop = Shop(per_second=1.5)
    for _ in range(4):
        shop.arrive(10 - len(shop.inside))
        shop.work(0.667)
    shop.per_second = 10
    for _ in range(40):
        shop.arrive(10 - len(shop.inside))
        shop.work(0.1)
    assert shop.refusals == []


def test_small_batches_are_not_taken_for_a_slow_engine() -> None:
    """With five callers the rate is half as high as with ten, but this does not mean that the engine can do less."""
    shop = Shop()
    shop.warm_up()
    shop.per_second = 5
    for _ in range(16):
        shop.arrive(5 - len(shop.inside))
        shop.work(0.4)
    shop.empty()
    assert shop.arrive(20) == 20


def test_simultaneous_arrivals_are_not_taken_for_a_slow_engine() -> None:
    """In a large batch, the first request ends late, and all others soon after it."""
    shop = Shop(per_second=50)
    shop.warm_up()
    shop.arrive(90)
    shop.now += 1.5
    shop.work(1.0)
    assert shop.arrive(30) == 30


def test_the_number_of_requests_is_limited_too() -> None:
    assert Shop(most=50).arrive(200) == 50


def test_without_a_time_limit_only_the_number_counts() -> None:
    shop = Shop(longest_s=0.0)
    shop.warm_up()
    assert shop.arrive(200) == 200


def test_admitted_requests_end_in_time_at_four_times_the_possible_load() -> None:
    """At four times the possible load, admitted requests end in time, and the engine is never idle."""
    shop = Shop()
    shop.warm_up()
    entered: dict[int, float] = {}
    took: list[float] = []
    for _ in range(200):  # steps of a tenth of a second
        shop.arrive(4)
        for one in shop.inside:
            entered.setdefault(id(one), shop.now)
        first = shop.inside[0]
        shop.work(0.1)
        took.append(shop.now - entered.pop(id(first)))
    assert len(took) == 200
    assert max(took) <= 2.0 + 1.0  # the longest wait, and 1 s for the error of the measurement


def test_fewer_expensive_requests_are_admitted() -> None:
    shop = Shop()
    shop.warm_up()
    assert shop.arrive(100, size=4000) == 6


def test_one_very_long_request_does_not_block_others() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(1, size=10_000_000)  # an hour of audio, worked on in parts
    assert shop.arrive(1) == 1


def test_the_real_cost_replaces_the_estimate() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(100)
    for one in shop.inside:
        one.revise(0)  # all of it was in the cache
    assert shop.arrive(1) == 1


def test_the_cost_per_byte_is_learnt() -> None:
    """The estimated cost per byte adapts to compressed audio, which is longer than its size suggests."""
    shop = Shop()
    shop.warm_up()
    shop.per_second /= 4
    for _ in range(200):
        shop.arrive()
        shop.inside[-1].revise(4.0)
        shop.empty()
    assert shop.arrive(100) == 6


def test_retry_after_says_when_there_is_capacity_and_is_spread() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(61)  # of which 21 are admitted
    assert min(shop.refusals) >= 1
    assert shop.refusals == sorted(shop.refusals)
    assert shop.refusals[-1] == pytest.approx(4.0, abs=0.5)  # 39 requests come before it, at 10 per second


def test_a_retry_after_the_stated_time_is_admitted() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(61)
    returning = [shop.now + seconds for seconds in shop.refusals]
    shop.refusals.clear()
    while returning:
        shop.work(0.1)
        due = [time for time in returning if time <= shop.now]
        returning = [time for time in returning if time > shop.now]
        shop.arrive(len(due))
    assert shop.refusals == []


def test_retry_after_is_bounded() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(5000)
    assert max(shop.refusals) <= 10


def test_callers_that_never_retry_do_not_increase_retry_after() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(500)
    shop.empty()
    shop.refusals.clear()
    shop.arrive(22)
    assert shop.refusals == [2.0]  # ``longest_s`` of this controller


def test_a_stalled_engine_is_noticed() -> None:
    shop = Shop()
    shop.warm_up()
    shop.arrive(15)
    shop.now += 10  # while the engine does nothing
    assert shop.arrive(1) == 0


def test_changes_of_the_speed_are_noticed() -> None:
    shop = Shop()
    shop.warm_up()
    shop.per_second = 2
    for _ in range(60):
        shop.arrive(8 - len(shop.inside))
        shop.work(0.5)
    shop.empty()
    assert shop.arrive(100) < 8
    shop.per_second = 50
    for _ in range(100):
        shop.arrive(8 - len(shop.inside))
        shop.work(0.1)
    shop.empty()
    assert shop.arrive(200) > 80


def test_immediate_failures_are_not_taken_for_speed() -> None:
    shop = Shop()
    shop.warm_up()
    for _ in range(1000):
        shop.arrive(BUSY)
        for one in shop.inside:
            one.leave(done=False)
        shop.inside.clear()
        shop.now += 0.01
    assert shop.arrive(100) == 21


def test_leaving_twice_counts_once() -> None:
    shop = Shop(most=1)
    shop.arrive()
    shop.inside[0].leave(done=True)
    shop.inside[0].leave(done=True)
    assert shop.arrive(2) == 1
