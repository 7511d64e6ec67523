"""Several workers share the waiting units, and a free one waits for a larger batch while units keep arriving."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference.batcher import Batcher
from tests.inference.doubling_model import Number, submit, until


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
