"""Which units share a batch, which go first, and which are refused or dropped."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from inference.batcher import Batcher
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity
from tests.inference.doubling_model import Model, Number, blocked, started, submit


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
    async with started(model.run, key=lambda unit: "any" if is_busy.is_set() else unit.kind) as batcher:
        first = await blocked(batcher, model)
        tasks = await submit(batcher, *(Number(value=value, kind="ab"[value % 2]) for value in range(1, 5)))
        is_busy.set()
        model.free.set()
        assert await asyncio.gather(first, *tasks) == [0, 2, 4, 6, 8]
        assert model.batches == [[0], [1, 2, 3, 4]]


async def test_a_batch_is_no_larger_than_any_of_its_units_allows(model: Model) -> None:
    async with started(model.run, limit=lambda unit: 2 if unit.kind == "long" else 4) as batcher:
        first = await blocked(batcher, model)
        units = [Number(value=value, kind="long" if value in (3, 7) else "short") for value in range(1, 10)]
        tasks = await submit(batcher, *units)
        model.free.set()
        await asyncio.gather(first, *tasks)
        assert model.batches == [[0], [1, 2, 4, 5], [3, 6], [7, 8], [9]]


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


async def test_units_whose_callers_have_left_make_room_at_once(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    left = await submit(batcher, *(Number(value=value) for value in range(1, 9)))
    with pytest.raises(OverCapacity):
        await batcher.submit(Number(value=9))
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    assert batcher.stats().queue_length == 0
    stays = await submit(batcher, Number(value=10))
    model.free.set()
    assert await asyncio.gather(first, *stays) == [0, 20]


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
