"""A model that doubles numbers, for the tests of the batcher."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from inference.batcher import Batcher
from inference.engine import Unit


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


@asynccontextmanager
async def started(run: Callable[..., Any], **arguments: Any) -> AsyncIterator[Batcher[Number, int]]:
    """Start a batcher with these arguments, and close it at the end."""
    batcher: Batcher[Number, int] = Batcher("numbers", run, **arguments)
    batcher.start()
    try:
        yield batcher
    finally:
        await asyncio.to_thread(batcher.close)
