"""Whatever fails in a batcher fails only the units that it concerns, and the workers go on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from inference.batcher import Batcher
from inference.errors import EngineUnavailable
from tests.inference.doubling_model import Model, Number, blocked, started, submit, until


async def test_a_failing_unit_does_not_fail_its_batch(batcher: Batcher[Number, int], model: Model) -> None:
    first = await blocked(batcher, model)
    tasks = await submit(batcher, Number(value=12), Number(value=13), Number(value=14))
    model.free.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert results[1] == 24
    assert isinstance(results[2], ValueError)
    assert results[3] == 28


async def test_a_unit_whose_key_fails_gets_the_error_and_the_others_run(model: Model) -> None:
    def key(unit: Number) -> str:
        if unit.kind == "broken":
            raise LookupError("no key")
        return unit.kind

    async with started(model.run, key=key) as batcher:
        with pytest.raises(LookupError):
            async with asyncio.timeout(5):
                await batcher.submit(Number(value=1, kind="broken"))
        first = await blocked(batcher, model)
        tasks = await submit(
            batcher, *(Number(value=value, kind="a" if value % 2 else "broken") for value in range(2, 6))
        )
        model.free.set()
        results = await asyncio.wait_for(asyncio.gather(first, *tasks, return_exceptions=True), 5)
        assert [type(result) for result in results] == [int, LookupError, int, LookupError, int]
        assert model.batches == [[0], [3, 5]]


async def test_a_key_that_changes_while_a_batch_is_taken_does_not_stop_the_worker(model: Model) -> None:
    keys = itertools.count()
    async with started(model.run, key=lambda unit: next(keys)) as batcher:
        first = await blocked(batcher, model)
        tasks = await submit(batcher, Number(value=1), Number(value=2))
        model.free.set()
        assert await asyncio.wait_for(asyncio.gather(first, *tasks), 5) == [0, 2, 4]
        assert model.batches == [[0], [1], [2]]


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
    async with started(**{"run": model.run, **arguments}) as batcher:
        for value in (1, 2):
            with pytest.raises(error):
                await asyncio.wait_for(batcher.submit(Number(value=value)), 5)
        assert batcher.stats().ready


@pytest.mark.parametrize("broken", [1, 2, 3])
async def test_a_unit_whose_key_cannot_be_compared_fails_alone(model: Model, broken: int) -> None:
    async with started(model.run, key=lambda unit: Incomparable() if unit.value == broken else "a") as batcher:
        first = await blocked(batcher, model)
        tasks = await submit(batcher, *(Number(value=value) for value in (1, 2, 3)))
        model.free.set()
        results = await asyncio.wait_for(asyncio.gather(first, *tasks, return_exceptions=True), 5)
        assert [type(result) for result in results] == [ValueError if value == broken else int for value in range(4)]


async def test_one_result_that_no_future_takes_leaves_the_rest_of_the_batch_alone(model: Model) -> None:
    def run(units: list[Number]) -> list[int | Exception]:
        return [
            StopIteration() if unit.value == 1 else result for unit, result in zip(units, model.run(units), strict=True)
        ]

    async with started(run) as batcher:
        first = await blocked(batcher, model)
        tasks = await submit(batcher, Number(value=1), Number(value=2))
        model.free.set()
        results = await asyncio.wait_for(asyncio.gather(first, *tasks, return_exceptions=True), 5)
        assert [type(result) for result in results] == [int, RuntimeError, int]


@dataclass(kw_only=True)
class Free(Number):
    @property
    def cost(self) -> float:
        return 0.0


async def test_units_without_cost_run(batcher: Batcher[Number, int]) -> None:
    for value in (1, 2):
        assert await asyncio.wait_for(batcher.submit(Free(value=value)), 5) == 2 * value


async def test_a_failing_observer_does_not_stop_the_work(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    async with started(model.run, on_batch=raising(RuntimeError("no metrics"))) as batcher:
        for value in (1, 2):
            assert await asyncio.wait_for(batcher.submit(Number(value=value)), 5) == 2 * value
        assert "no metrics" in caplog.text


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
