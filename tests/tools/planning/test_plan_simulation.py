"""The simulator: simulated time, shared cores, batches, and laws that hold for every queue."""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from inference.batcher import ARRIVAL_GAP_S, Batcher
from inference.engine import Unit
from tools.planning import hpa
from tools.planning.demand import Curve, Demand, RequestRate
from tools.planning.queueing import Station
from tools.planning.rates import ASR, DEPLOYMENTS, BatchTime, Loaded, Rates, read
from tools.planning.simulation.batches import BatchServer
from tools.planning.simulation.clock import Clock, Machine, Threads
from tools.planning.simulation.closed import ClosedLoop, fitted, one_machine
from tools.planning.simulation.cluster import Shape
from tools.planning.simulation.load import Crowd, Stay, simulate, simulate_crowd, simulate_steady

PODS = dict.fromkeys(DEPLOYMENTS, 2)
SIMPLE = BatchTime(fixed_s=0.1, per_cost_s=0.01, batch_units=4)


@pytest.fixture(scope="module")
def rates() -> Rates:
    return read(Path(__file__).with_name("plan_rates.json"))


# --- Time and cores ---------------------------------------------------------------------------------------------------
def test_the_clock_keeps_order() -> None:
    clock = Clock()
    seen = []
    for seconds, name in ((2, "c"), (1, "a"), (1, "b"), (5, "never")):
        clock.after(seconds, lambda name=name: seen.append((clock.now, name)))
    clock.run(3)
    assert seen == [(1, "a"), (1, "b"), (2, "c")]
    assert clock.now == 3


def test_cores_are_shared_evenly() -> None:
    clock = Clock()
    machine = None
    seen = {}
    machine = Machine(clock, 2)
    for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        machine.work(seconds, lambda name=name: seen.update({name: clock.now}))
    clock.run(100)
    # Three threads on two cores run at 2/3 speed until the first has had its 1 s, at 1.5 s; then two run at full speed.
    assert seen == pytest.approx({"a": 1.5, "b": 2.5, "c": 3.5})
    assert machine.used_s == pytest.approx(6)


def test_one_thread_gets_no_more_than_one_core() -> None:
    clock = Clock()
    seen = []
    machine = Machine(clock, 8)
    machine.work(1.0, lambda: seen.append(clock.now))
    clock.run(10)
    assert seen == [1.0]


def test_threads_take_jobs_in_order() -> None:
    clock = Clock()
    seen = []
    threads = Threads(Machine(clock, 4), 1)
    for name in "abc":
        threads.work(1.0, lambda name=name: seen.append((name, clock.now)))
    clock.run(10)
    assert seen == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


# --- Batches ----------------------------------------------------------------------------------------------------------
def brute_force(arrivals: list[tuple[float, float]], time: BatchTime) -> list[float]:
    """Return the time at which a single server finishes each arrival, computed batch by batch without events.

    ``arrivals``: pairs of time and size.
    """
    waiting = sorted(range(len(arrivals)), key=lambda each: arrivals[each][0])
    ends: dict[int, float] = {}
    now = 0.0
    while waiting:
        now = max(now, arrivals[waiting[0]][0])
        there = [each for each in waiting if arrivals[each][0] <= now]
        cost = time.cost(arrivals[there[0]][1])
        batch: list[int] = []
        for each in there:
            costs = [time.cost(arrivals[one][1]) for one in (*batch, each)]
            if time.together(costs[-1], cost) and len(costs) <= min(map(time.limit, costs)):
                batch.append(each)
        now += time.fixed_s + time.per_cost_s * sum(time.cost(arrivals[each][1]) for each in batch)
        ends |= dict.fromkeys(batch, now)
        waiting = [each for each in waiting if each not in batch]
    return [ends[each] for each in range(len(arrivals))]


@pytest.mark.parametrize("seed", range(20))
def test_batches_equal_those_of_a_brute_force_simulation(seed: int) -> None:
    chance = random.Random(seed)
    bucketed = replace(SIMPLE, buckets=(5.0, 10.0, 30.0), batch_cost=30.0)
    time = chance.choice([SIMPLE, bucketed, replace(bucketed, longest_mixed=10.0)])
    arrivals = []
    at = 0.0
    for _ in range(300):
        at += chance.expovariate(chance.choice([3, 30]))
        arrivals.append((at, chance.uniform(1, 20)))
    clock = Clock()
    ends = {}

    def arrive(number: int) -> None:
        def done(is_done: bool) -> None:
            assert is_done
            ends[number] = clock.now

        assert server.submit(arrivals[number][1], done)

    server = BatchServer(clock, replace(time, queue=1000))
    for number, (moment, _size) in enumerate(arrivals):
        clock.after(moment, lambda number=number: arrive(number))
    clock.run(1e6)
    assert [ends[number] for number in range(300)] == pytest.approx(brute_force(arrivals, time))


@dataclass(kw_only=True)
class Sized(Unit):
    number: int
    size: float

    @property
    def cost(self) -> float:
        return self.size


@pytest.mark.parametrize("longest_mixed", [0.0, 10.0])
@pytest.mark.parametrize("seed", range(5))
async def test_batches_equal_those_of_the_real_batcher(seed: int, longest_mixed: float) -> None:
    chance = random.Random(seed)
    time = BatchTime(0.1, 0.01, batch_units=5, batch_cost=40.0, buckets=(5.0, 10.0), longest_mixed=longest_mixed)
    units = [(chance.choice([5.0, 10.0]), chance.random() < 0.2) for _ in range(40)]
    gate = threading.Event()
    batches = []

    def run(batch: list[Sized]) -> list[int]:
        gate.wait(10)
        batches.append([unit.number for unit in batch])
        return [0] * len(batch)

    real: Batcher[Sized, int] = Batcher(
        "real", run, key=lambda unit: max(unit.size, longest_mixed), limit=lambda unit: time.limit(unit.size)
    )
    real.start()
    tasks = []
    for number, (size, is_live) in enumerate(units):
        tasks.append(asyncio.create_task(real.submit(Sized(number=number, size=size, live=is_live))))
        await asyncio.sleep(0)
        while number == 0 and real.stats().running == 0:  # wait until the first unit runs as a separate batch
            await asyncio.sleep(0.001)
    gate.set()
    await asyncio.gather(*tasks)
    await asyncio.to_thread(real.close)

    clock = Clock()
    simulated = []
    server = BatchServer(clock, time)
    ended: dict[float, list[int]] = {}
    for number, (size, is_live) in enumerate(units):
        clock.after(
            number * 1e-6,
            lambda number=number, size=size, is_live=is_live: server.submit(
                size, lambda _done, number=number: ended.setdefault(clock.now, []).append(number), live=is_live
            ),
        )
    clock.run(1e6)
    simulated = [ended[at] for at in sorted(ended)]
    assert simulated == batches


def test_two_workers_gather_and_share_as_the_real_ones_do() -> None:
    clock = Clock()
    ends: dict[int, float] = {}
    server = BatchServer(clock, replace(SIMPLE, fixed_s=1.0, per_cost_s=0.0, workers=2))

    def arrive(at: float, *numbers: int) -> None:
        for number in numbers:
            clock.after(at, lambda number=number: server.submit(1, lambda _: ends.setdefault(number, clock.now)))

    arrive(0.0, 0)
    arrive(0.1, 1)
    arrive(0.2, 2, 3, 4, 5, 6, 7)  # of seven units waiting or running, a worker's share is four
    arrive(1.095, 8)  # the other worker waits for units that may follow
    clock.run(10)
    later = 1.095 + ARRIVAL_GAP_S + 1.0
    assert ends == pytest.approx(
        {0: 1.0, 1: 1.1, **dict.fromkeys((2, 3, 4, 5), 2.0), **dict.fromkeys((6, 7, 8), later)}
    )


def test_a_full_queue_refuses() -> None:
    clock = Clock()
    answers: list[bool] = []
    server = BatchServer(clock, replace(SIMPLE, queue=2))
    assert [server.submit(1, answers.append) for _ in range(5)] == [True, True, True, False, False]
    clock.run(10)
    assert answers == [True, True, True]


def test_deadlines_refuse_or_drop_units() -> None:
    clock = Clock()
    answers: list[tuple[str, bool]] = []
    server = BatchServer(clock, replace(SIMPLE, batch_units=1))
    server.submit(100, lambda done: answers.append(("first", done)))  # takes 1.1 s
    server.submit(1, lambda done: answers.append(("late", done)), deadline=0.5)  # the speed is not known yet
    clock.run(1.2)
    assert answers == [("first", True), ("late", False)]
    server.submit(100, lambda done: None)
    server.submit(100, lambda done: None)  # waits; at 0.011 s per unit of cost it takes 1.1 s
    assert not server.submit(1, lambda done: None, deadline=clock.now + 1.0)
    assert server.submit(1, lambda done: None, deadline=clock.now + 1.3)


# --- Laws that hold for every queue -----------------------------------------------------------------------------------
def test_a_machine_with_one_core_is_an_m_g_1_queue() -> None:
    """The mean wait of a job equals that of the Pollaczek–Khinchine formula."""
    chance = random.Random(5)
    clock = Clock()
    waits = []
    threads = Threads(Machine(clock, 1), 1)

    def arrive() -> None:
        asked = clock.now
        service = chance.uniform(0.5, 1.5)
        threads.work(service, lambda: waits.append(clock.now - asked - service))
        clock.after(chance.expovariate(0.7), arrive)

    arrive()
    clock.run(100_000)
    expected = Station(1, 0.7, 1.0, service_scv=1 / 12).mean_wait_s
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.07)


def test_littles_law(rates: Rates) -> None:
    """In a closed loop, the number of users equals the throughput times the sum of response time and think time."""
    for users, think in ((30, 0.5), (30, 3.0)):
        answers = one_machine(rates, ClosedLoop(users, 120, 0.5, think_s=(think, think), warm_up_s=30), cores=2.0)
        mean = sum(answers.all()) / len(answers.all())
        assert answers.per_second * (mean + think) == pytest.approx(users, rel=0.05)


def test_an_unexplained_rate_is_noted(rates: Rates) -> None:
    load = ClosedLoop(2, 5)
    possible = one_machine(rates, load).per_second_to_the_last
    for per_second, is_noted in ((possible, False), (1000 * possible, True), (possible / 1000, True)):
        loaded = Loaded(load.users, load.seconds, per_second, 0.1, 0.2)
        notes = fitted(replace(rates, asr=replace(rates.asr, loaded=loaded))).notes
        assert [note.startswith("asr: no stall") for note in notes] == [True] * is_noted


def test_every_request_ends_exactly_once(rates: Rates) -> None:
    demand = Demand(users=60_000, voice_share=0.07)
    shape = Shape(1, PODS)
    run = simulate(demand, rates, shape, start_h=20, end_h=21)
    assert 0 <= run.arrivals - run.answered - run.refused <= 60  # requests still in progress at the end
    hour = demand.rate(demand.curve.at(20.5).item())
    expected = 3600 * (hour.asr + hour.tts + hour.streams * demand.stream_s * rates.live.units_per_s)
    assert run.arrivals == pytest.approx(expected, rel=0.15)


def test_an_overloaded_gpu_works_at_capacity_and_the_rest_is_refused(rates: Rates) -> None:
    demand = Demand(users=1, voice_share=1, clip_s=4.2, size_cv=0.0)
    slow = rates.faster(0.25, "slower")
    one = slow.asr.batch
    limit = one.limit(one.cost(4.2))
    most = limit / one.seconds(limit * one.cost(4.2))
    shape = Shape(1, {**PODS, ASR: 5}, scaling=None)
    run = simulate_steady(RequestRate(2 * most, 0, 0), demand, slow, shape, seconds=240)
    assert run.refused > 0.4 * run.arrivals
    assert run.answered / 240 == pytest.approx(most, rel=0.05)


def test_only_the_same_seed_gives_the_same_day(rates: Rates) -> None:
    demand = Demand(users=20_000, voice_share=0.07)
    first, again, other = (
        simulate(demand, rates, Shape(1, PODS), start_h=21, end_h=21.5, seed=seed) for seed in (1, 1, 2)
    )
    assert first.latencies(ASR) == again.latencies(ASR)
    assert first.latencies(ASR) != other.latencies(ASR)


def test_a_rush_makes_the_autoscaler_add_pods_and_take_them_away(rates: Rates) -> None:
    demand = Demand(users=1, voice_share=1)
    stays = [Stay(60 + number * 0.5, 900) for number in range(450)]
    shape = Shape(8, PODS, pod_start_s=30)
    run = simulate_crowd(Crowd(450), demand, rates, shape, seconds=1500, stays=stays, warm_up_s=0)
    ups = [change for change in run.changes if change.after > change.before]
    downs = [change for change in run.changes if change.after < change.before]
    assert ups
    assert downs
    assert all(change.after - change.before <= 2 for change in ups)
    assert all(change.at_s % hpa.SYNC_PERIOD_S == 0 for change in run.changes)
    assert all(hpa.API.least <= change.after <= hpa.API.most for change in run.changes)
    assert min(change.at_s for change in downs) >= 900 - 60 + hpa.API.down.stabilisation_s - 300
    assert run.intervals[-1].pods == PODS
    starting = run.intervals[int(ups[0].at_s // 60)]
    assert max(starting.wanted.values()) >= max(starting.pods.values())


# --- The day ----------------------------------------------------------------------------------------------------------
def test_the_curve_of_a_day() -> None:
    assert Curve().hours.mean() == pytest.approx(1)
    assert Curve().peak_hour in (20, 21, 22)
    assert Curve(3.0).peak == pytest.approx(3.0)
    assert Curve(3.0).hours.mean() == pytest.approx(1)
    assert Curve().at(0.0) == pytest.approx(Curve().at(24.0))


def test_arrivals_follow_the_curve() -> None:
    times = Curve().arrivals(200_000, 0, 24, seed=3)
    assert len(times) == pytest.approx(200_000, rel=0.02)
    counts = [((times >= hour * 3600) & (times < (hour + 1) * 3600)).sum() for hour in range(24)]
    for hour, count in enumerate(counts):
        middle = Curve().at([hour + 0.1, hour + 0.3, hour + 0.5, hour + 0.7, hour + 0.9]).mean()
        assert count == pytest.approx(200_000 / 24 * middle, abs=5 * (200_000 / 24 * middle) ** 0.5 + 20)
