"""The benchmarks assign measured times to the right batches."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

import pytest

from inference import pool
from inference.batcher import Batcher
from inference.engine import Unit
from inference.runtime import batch_observer
from tools.benchmarks.batch_times import _bursts
from tools.benchmarks.observed_server import POOL, _role


@pytest.mark.parametrize("into", [pool.in_pool, pool.in_first_pool, pool.in_live_pool, pool.in_ahead_pool])
async def test_cpu_time_of_pool_threads_counts_for_the_pool(into) -> None:
    assert _role(await into(lambda: threading.current_thread().name)) == POOL


@dataclass(kw_only=True)
class Nap(Unit):
    seconds: float

    @property
    def cost(self) -> float:
        return self.seconds


async def test_batch_times_of_several_workers_belong_to_their_costs() -> None:
    def run(units: list[Nap]) -> list[int | Exception]:
        time.sleep(units[0].seconds)
        return [0]

    naps = [Nap(seconds=seconds) for seconds in (0.06, 0.01, 0.03)]
    engine: Batcher[Nap, int] = Batcher("naps", run, limit=lambda unit: 1, workers=3, on_batch=batch_observer("naps"))
    engine.start()
    ran = await _bursts("naps", engine, naps, [nap.cost for nap in naps], seconds=0.5)
    await asyncio.to_thread(engine.close)
    assert len(ran) > 6
    assert all(one.seconds >= one.cost for one in ran)  # a sleep may last longer, but never ends sooner
