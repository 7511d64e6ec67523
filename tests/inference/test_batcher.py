"""The batcher: which units share a batch, which units go first, and which units are refused or dropped."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from inference.batcher import Batcher
from inference.engine import Unit
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity


@dataclass(kw_only=True)
class Number(Unit):
    value: int
    kind: str = "a"


class Model:
    """A model that doubles numbers.

    ``free``: while this event is cleared, batches do not end, as on a slow machine.
    ``batches``: the batches so far.
    """

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.batches: list[list[int]] = []

    def run(self, units: list[Number]) -> list[int | Exception]:
        self.batches.append([unit.value for unit in units])
        assert self.free.wait(10)
        return [ValueError("unlucky") if unit.value == 13 else 2 * unit.value for unit in units]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batcher(model: Model) -> Iterator[Batcher[Number, int]]:
    batcher: Batcher[Number, int] = Batcher(
        "numbers", model.run, key=lambda unit: unit.kind, limit=lambda unit: 4, max_queue=8
    )
    batcher.start()
    yield batcher
    model.free.set()
    batcher.close()


async def blocked(batcher: Batcher[Number, int], model: Model) -> asyncio.Task[int]:
    """Submit a unit that keeps the only worker busy until ``model.free`` is set; return the unit's task."""
    model.free.clear()
    task = asyncio.create_task(batcher.submit(Number(value=0)))
    await until(lambda: bool(model.batches))
    return task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


async def submit(batcher: Batcher[Number, int], *units: Number) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(unit)) for unit in units]
    await asyncio.sleep(0.01)
    return tasks


async def test_it_works(batcher: Batcher[Number, int]) -> None:
    assert await batcher.submit(Number(value=21)) == 42


async def test_a_single_unit_runs_at_once(batcher: Batcher[Number, int], model: Model) -> None:
    await batcher.submit(Number(value=1))
    await batcher.submit(Number(value=2))
    assert model.batches == [[1], [2]]


async def test_arrivals_gather_while_a_batch_runs(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    tasks = await submit(batcher, *(Number(value=value) for value in range(1, 7)))
    model.free.set()
    assert await asyncio.gather(first, *tasks) == [0, 2, 4, 6, 8, 10, 12]
    assert model.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert batcher.stats().largest_batch == 4


async def test_only_units_with_the_same_key_share_a_batch(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    units = [Number(value=1, kind="a"), Number(value=2, kind="b"), Number(value=3, kind="a"), Number(value=4, kind="b")]
    tasks = await submit(batcher, *units)
    model.free.set()
    await asyncio.gather(first, *tasks)
    assert model.batches == [[0], [1, 3], [2, 4]]


async def test_the_key_may_change_until_the_batch_is_taken(model: Model) -> None:
    is_busy = threading.Event()
    batcher: Batcher[Number, int] = Batcher(
        "numbers", model.run, key=lambda unit: "any" if is_busy.is_set() else unit.kind
    )
    batcher.start()
    first = await blocked(batcher, model)
    tasks = await submit(batcher, *(Number(value=value, kind="ab"[value % 2]) for value in range(1, 5)))
    is_busy.set()
    model.free.set()
    assert await asyncio.gather(first, *tasks) == [0, 2, 4, 6, 8]
    assert model.batches == [[0], [1, 2, 3, 4]]
    await asyncio.to_thread(batcher.close)


async def test_a_batch_is_no_larger_than_any_of_its_units_allows(model: Model) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run, limit=lambda unit: 2 if unit.kind == "long" else 4)
    batcher.start()
    first = await blocked(batcher, model)
    units = [Number(value=value, kind="long" if value in (3, 7) else "short") for value in range(1, 10)]
    tasks = await submit(batcher, *units)
    model.free.set()
    await asyncio.gather(first, *tasks)
    assert model.batches == [[0], [1, 2, 4, 5], [3, 6], [7, 8], [9]]
    await asyncio.to_thread(batcher.close)


async def test_a_unit_whose_key_fails_gets_the_error_and_the_others_run(model: Model) -> None:
    def key(unit: Number) -> str:
        if unit.kind == "broken":
            raise LookupError("no key")
        return unit.kind

    batcher: Batcher[Number, int] = Batcher("numbers", model.run, key=key)
    batcher.start()
    with pytest.raises(LookupError):
        async with asyncio.timeout(5):
            await batcher.submit(Number(value=1, kind="broken"))
    first = await blocked(batcher, model)
    tasks = await submit(batcher, *(Number(value=value, kind="a" if value % 2 else "broken") for value in range(2, 6)))
    model.free.set()
    results = await asyncio.wait_for(asyncio.gather(first, *tasks, return_exceptions=True), 5)
    assert [type(result) for result in results] == [int, LookupError, int, LookupError, int]
    assert model.batches == [[0], [3, 5]]
    await asyncio.to_thread(batcher.close)


async def test_a_key_that_changes_while_a_batch_is_taken_does_not_stop_the_worker(model: Model) -> None:
    keys = itertools.count()
    batcher: Batcher[Number, int] = Batcher("numbers", model.run, key=lambda unit: next(keys))
    batcher.start()
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=1), Number(value=2))
    model.free.set()
    assert await asyncio.wait_for(asyncio.gather(first, *tasks), 5) == [0, 2, 4]
    assert model.batches == [[0], [1], [2]]
    await asyncio.to_thread(batcher.close)


async def test_live_units_go_first(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=1), Number(value=2, kind="b", live=True))
    model.free.set()
    await asyncio.gather(first, *tasks)
    assert model.batches == [[0], [2], [1]]


async def test_live_units_do_not_starve_the_others(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    old = await submit(batcher, Number(value=1))
    await asyncio.sleep(2.1)  # longer than the head start of live units
    live = await submit(batcher, Number(value=2, kind="b", live=True))
    model.free.set()
    await asyncio.gather(first, *old, *live)
    assert model.batches == [[0], [1], [2]]


async def test_a_failing_unit_does_not_fail_its_batch(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=12), Number(value=13), Number(value=14))
    model.free.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert results[1] == 24
    assert isinstance(results[2], ValueError)
    assert results[3] == 28


async def test_a_full_queue_refuses_at_once(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    tasks = await submit(batcher, *(Number(value=value) for value in range(8)))
    with pytest.raises(OverCapacity) as refusal:
        await batcher.submit(Number(value=9))
    assert refusal.value.retry_after_s >= 1
    waits = await submit(batcher, Number(value=10, admitted=True))  # a unit of an admitted request may wait
    model.free.set()
    await asyncio.gather(first, *tasks, *waits)


async def test_a_unit_whose_deadline_has_passed_is_dropped(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=1, deadline=time.monotonic() + 0.05), Number(value=2))
    await asyncio.sleep(0.1)
    model.free.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert isinstance(results[1], DeadlineExceeded)
    assert model.batches == [[0], [2]]


async def test_a_unit_whose_caller_has_left_is_dropped(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    gone, stays = await submit(batcher, Number(value=1), Number(value=2))
    gone.cancel()
    await asyncio.sleep(0.01)
    model.free.set()
    assert await stays == 4
    await first
    assert model.batches == [[0], [2]]


async def test_closing_refuses_waiting_units_and_finishes_running_ones(model: Model) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run)
    batcher.start()
    first = await blocked(batcher, model)
    waiting = (await submit(batcher, Number(value=1)))[0]
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    with pytest.raises(EngineUnavailable):
        await waiting
    model.free.set()
    await closing
    assert await first == 0
    with pytest.raises(EngineUnavailable):
        await batcher.submit(Number(value=2))


async def test_the_backlog_excludes_units_that_are_not_urgent_yet(batcher: Batcher[Number, int], model: Model) -> None:
    running = await blocked(batcher, model)
    batcher._seconds_per_cost = 10.0  # set by hand, because these batches are too short to measure
    assert 9.0 < batcher.stats().backlog_s <= 10.0
    [patient] = await submit(batcher, Number(value=1, slack_s=60.0))
    assert 9.0 < batcher.stats().backlog_s <= 10.0  # this unit can be done in 20 s but has 60 s, so it does not count
    [waiting] = await submit(batcher, Number(value=2))
    assert 19.0 < batcher.stats().backlog_s <= 20.0
    model.free.set()
    await asyncio.gather(running, patient, waiting)
    assert batcher.stats().backlog_s == 0


@pytest.mark.parametrize(("fastest", "pace"), [(0.02, 0.02), (0.0, 10.0)])
async def test_a_slow_moment_is_forgotten_if_the_fastest_speed_is_known(
    model: Model, monkeypatch: pytest.MonkeyPatch, fastest: float, pace: float
) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run)
    batcher.start(fastest=fastest)
    monkeypatch.setattr(batcher, "_note_pace", lambda per_cost: None)
    await batcher.submit(Number(value=1))
    batcher._seconds_per_cost = 10.0
    later = time.monotonic() + 60
    with monkeypatch.context() as patch:
        patch.setattr("inference.batcher.time.monotonic", lambda: later)
        assert batcher.stats().seconds_per_cost == pytest.approx(pace, rel=0.01)
    await asyncio.to_thread(batcher.close)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_utilisation_is_the_recent_share_of_busy_time(
    model: Model, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run, workers=workers)
    assert batcher.stats().utilisation == 0
    now = 1000.0
    monkeypatch.setattr("inference.batcher.time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(60):  # one second of work in every two
        now += 2
        batcher._note_work(seconds=1.0)
    assert batcher.stats().utilisation == pytest.approx(0.5 / workers, rel=0.15)
    now += 60
    assert batcher.stats().utilisation < 0.01
    for _ in range(workers):
        batcher._note_work(seconds=30.0)
    assert batcher.stats().utilisation == pytest.approx(0.95, abs=0.01)
    now += 10
    assert batcher.stats().utilisation == pytest.approx(0.35, abs=0.01)


async def test_a_batch_that_is_running_counts_in_the_utilisation(
    batcher: Batcher[Number, int], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await blocked(batcher, model)
    began = time.monotonic()
    for seconds, utilisation in ((0.0, 0.0), (10.0, 0.63), (30.0, 0.95)):
        with monkeypatch.context() as patch:
            patch.setattr("inference.batcher.time.monotonic", lambda seconds=seconds: began + seconds)
            assert batcher.stats().utilisation == pytest.approx(utilisation, abs=0.01)
    model.free.set()
    await running
    assert batcher.stats().utilisation < 0.1  # in fact the batch took only a moment


async def test_a_failure_does_not_change_the_measured_speed() -> None:
    def run(units: list[Number]) -> list[int | Exception]:
        if units[0].value == 1:
            raise RuntimeError("no memory")
        if units[0].value == 2:
            return [ValueError("unlucky")]
        time.sleep(0.05)
        return [0]

    batcher: Batcher[Number, int] = Batcher("numbers", run)
    batcher.start(fastest=0.05)
    await batcher.submit(Number(value=0))
    pace = batcher._seconds_per_cost
    for value in (1, 2):
        with pytest.raises((RuntimeError, ValueError)):
            await batcher.submit(Number(value=value))
    stats = batcher.stats()
    assert stats.seconds_per_cost == pytest.approx(pace, rel=0.05)
    assert stats.fastest_seconds_per_cost == pytest.approx(0.05)
    await asyncio.to_thread(batcher.close)


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any) -> Any:
        raise error

    return fail


class Incomparable:
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("this key cannot be compared")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"run": raising(StopIteration())}, RuntimeError),
        ({"run": raising(SystemExit())}, RuntimeError),
        ({"run": lambda units: [StopIteration() for _ in units]}, RuntimeError),
        ({"run": lambda units: []}, ValueError),
        ({"run": lambda units: [0] * (len(units) + 1)}, ValueError),
        ({"run": lambda units: None}, TypeError),
        ({"key": raising(StopIteration())}, RuntimeError),
        ({"limit": lambda unit: None}, TypeError),
    ],
)
async def test_a_broken_engine_fails_its_units_and_the_worker_goes_on(
    model: Model, arguments: dict[str, Any], error: type[Exception]
) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", **{"run": model.run, **arguments})
    batcher.start()
    for value in (1, 2):
        with pytest.raises(error):
            await asyncio.wait_for(batcher.submit(Number(value=value)), 5)
    assert batcher.stats().ready
    await asyncio.to_thread(batcher.close)


async def test_a_unit_whose_key_cannot_be_compared_fails_alone(model: Model) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run, key=lambda unit: Incomparable())
    batcher.start()
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=1), Number(value=2))
    model.free.set()
    results = await asyncio.wait_for(asyncio.gather(first, *tasks, return_exceptions=True), 5)
    assert [type(result) for result in results] == [int, int, ValueError]
    await asyncio.to_thread(batcher.close)


async def test_one_result_that_no_future_takes_leaves_the_rest_of_the_batch_alone(model: Model) -> None:
    def run(units: list[Number]) -> list[int | Exception]:
        return [
            StopIteration() if unit.value == 1 else result for unit, result in zip(units, model.run(units), strict=True)
        ]

    batcher: Batcher[Number, int] = Batcher("numbers", run)
    batcher.start()
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=1), Number(value=2))
    model.free.set()
    results = await asyncio.wait_for(asyncio.gather(first, *tasks, return_exceptions=True), 5)
    assert [type(result) for result in results] == [int, RuntimeError, int]
    await asyncio.to_thread(batcher.close)


@dataclass(kw_only=True)
class Free(Number):
    @property
    def cost(self) -> float:
        return 0.0


async def test_units_without_cost_run(batcher: Batcher[Number, int]) -> None:
    for value in (1, 2):
        assert await asyncio.wait_for(batcher.submit(Free(value=value)), 5) == 2 * value


async def test_a_failing_observer_does_not_stop_the_work(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run, on_batch=raising(RuntimeError("no metrics")))
    batcher.start()
    for value in (1, 2):
        assert await asyncio.wait_for(batcher.submit(Number(value=value)), 5) == 2 * value
    assert "no metrics" in caplog.text
    await asyncio.to_thread(batcher.close)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the worker ends on purpose
async def test_a_batcher_whose_worker_has_ended_is_not_ready(
    batcher: Batcher[Number, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "_first_batch", raising(SystemExit()))
    lost = asyncio.create_task(batcher.submit(Number(value=1)))
    await until(lambda: not batcher.stats().ready)
    with pytest.raises(EngineUnavailable):
        await batcher.submit(Number(value=2))
    lost.cancel()


# --- several workers ------------------------------------------------------------------------------------------------
class Steps:
    """A model in which each batch ends when the test sets its event.

    ``batches``: the batches so far.
    ``ends``: the events, keyed by the first unit of the batch.
    """

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.ends: dict[int, threading.Event] = {}

    def run(self, units: list[Number]) -> list[int]:
        values = [unit.value for unit in units]
        end = self.ends[values[0]] = threading.Event()
        self.batches.append(values)
        assert end.wait(10)
        return values


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
async def pair(steps: Steps, monkeypatch) -> AsyncIterator[tuple[Batcher[Number, int], list[asyncio.Task[int]]]]:
    """A batcher whose two workers are busy with the units 0 and 1, and the tasks of these units.

    A free worker waits for more units as long as new units keep arriving.
    """
    monkeypatch.setattr("inference.batcher.ARRIVAL_GAP_S", 0.2)
    monkeypatch.setattr("inference.batcher.GATHER_S", 5.0)
    batcher: Batcher[Number, int] = Batcher("numbers", steps.run, key=lambda unit: unit.kind, workers=2)
    batcher.start()
    tasks = []
    for value in (0, 1):
        tasks += await submit(batcher, Number(value=value))
        await until(lambda value=value: [value] in steps.batches)
    yield batcher, tasks
    for end in steps.ends.values():
        end.set()
    batcher.close()


async def test_a_worker_takes_its_share_of_all_units(pair, steps: Steps) -> None:
    batcher, tasks = pair
    tasks += await submit(batcher, *(Number(value=value) for value in range(2, 8)))
    steps.ends[0].set()
    await until(lambda: len(steps.batches) == 3)
    steps.ends[1].set()
    await until(lambda: len(steps.batches) == 4)
    assert steps.batches[2:] == [[2, 3, 4, 5], [6, 7]]  # half of seven units, rounded up, is four
    for first in (2, 6):
        steps.ends[first].set()
    assert await asyncio.gather(*tasks) == list(range(8))


async def test_a_free_worker_waits_for_units_that_arrive_in_succession(pair, steps: Steps) -> None:
    batcher, tasks = pair
    tasks += await submit(batcher, Number(value=2), Number(value=3), Number(value=4))
    steps.ends[0].set()
    await until(lambda: len(steps.batches) == 3)
    assert steps.batches[2] == [2, 3]
    steps.ends[1].set()
    await asyncio.sleep(0.05)
    assert len(steps.batches) == 3
    tasks += await submit(batcher, Number(value=5))
    await until(lambda: len(steps.batches) == 4)
    assert steps.batches[3] == [4, 5]
    for first in (2, 4):
        steps.ends[first].set()
    assert await asyncio.gather(*tasks) == list(range(6))


async def one_behind_three(pair, steps: Steps, **unit: Any) -> list[asyncio.Task[int]]:
    """Leave worker 1 free with a single unit in the queue, although its share is two units.

    Worker 0 runs the units 2 and 3, and unit 4 is waiting. Return the tasks of all units.
    """
    batcher, tasks = pair
    tasks += await submit(batcher, Number(value=2), Number(value=3))
    steps.ends[0].set()
    await until(lambda: [2, 3] in steps.batches)
    tasks += await submit(batcher, Number(value=4, **unit))
    steps.ends[1].set()
    return tasks


async def all_done(tasks: list[asyncio.Task[int]], steps: Steps) -> bool:
    for first in (2, 4):
        steps.ends[first].set()
    return await asyncio.gather(*tasks) == list(range(5))


async def test_a_free_worker_does_not_wait_if_no_units_follow(pair, steps: Steps, monkeypatch) -> None:
    monkeypatch.setattr("inference.batcher.GATHER_S", 60.0)
    tasks = await one_behind_three(pair, steps)
    await until(lambda: [4] in steps.batches)
    assert await all_done(tasks, steps)


async def test_waiting_for_a_larger_batch_is_bounded(pair, steps: Steps, monkeypatch) -> None:
    monkeypatch.setattr("inference.batcher.ARRIVAL_GAP_S", 60.0)
    monkeypatch.setattr("inference.batcher.GATHER_S", 0.3)
    tasks = await one_behind_three(pair, steps)
    await asyncio.sleep(0.05)
    assert [4] not in steps.batches
    await until(lambda: [4] in steps.batches)
    assert await all_done(tasks, steps)


async def test_a_live_unit_does_not_wait_for_a_larger_batch(pair, steps: Steps, monkeypatch) -> None:
    monkeypatch.setattr("inference.batcher.ARRIVAL_GAP_S", 60.0)
    monkeypatch.setattr("inference.batcher.GATHER_S", 60.0)
    tasks = await one_behind_three(pair, steps, live=True)
    await until(lambda: [4] in steps.batches)
    assert await all_done(tasks, steps)
