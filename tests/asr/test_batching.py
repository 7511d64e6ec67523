"""Which units share a batch, how large a batch may be, and which beam size it has."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from asr.batching import BUSY_CALLERS, Batching, competes, mixed_key, own_key, should_spare
from asr.checkpoint import CONTEXTS_S, MARGIN_S, Checkpoint
from asr.encoding import Prepared
from asr.tuning import Tuning, by_rule
from asr.units import Options, SpeechUnit
from inference.batcher import Batcher
from inference.engine import EngineStats

MALAY = Options(language="ms")
PARTIAL: dict[str, Any] = {"greedy": True, "timestamps": False, "temperatures": (0.0,)}
STOCK = Checkpoint("", "stock", contexts_s=CONTEXTS_S, margin_s=MARGIN_S)
GAPS = Tuning("stock", "cpu", "int8", {7: 10, 12: 6, 30: 2}, margin_s=MARGIN_S)  # measured; other contexts gain nothing


def prepared(context_s: int = 7, *, prompt: tuple[int, ...] = (), **options: Any) -> Prepared:
    unit = SpeechUnit(audio=np.zeros(16_000, np.float32), options=replace(MALAY, **options))
    return Prepared(unit=unit, features=np.zeros((80, 100), np.float32), context_s=context_s, prompt=prompt)


def test_units_of_each_context_have_a_key_of_their_own() -> None:
    assert len({own_key(prepared(context_s)) for context_s in CONTEXTS_S}) == len(CONTEXTS_S)
    partial = prepared(**PARTIAL)
    assert own_key(partial) != own_key(prepared())
    assert not {own_key(partial), own_key(prepared())} & {mixed_key(partial), mixed_key(prepared())}


@pytest.mark.parametrize(
    ("item", "mixes"),
    [
        (prepared(15), True),
        (prepared(**PARTIAL), True),
        (prepared(temperatures=(0.0,), timestamps=False, words=True, language="en"), True),
        (prepared(temperatures=(0.7,)), False),
        (prepared(task="translate"), False),
        (prepared(prompt=(1, 2)), False),
    ],
    ids=["context", "partial", "options", "temperature", "translation", "prompt"],
)
def test_what_units_of_a_mixed_batch_have_in_common(item: Prepared, mixes: bool) -> None:
    assert (mixed_key(item) == mixed_key(prepared())) is mixes


@pytest.mark.parametrize(
    ("table", "waiting", "batches"),
    [
        (GAPS, [7] * 12, [[7] * 10, [7] * 2]),
        (GAPS, [7] * 4 + [12] * 8, [[7] * 4 + [12] * 2, [12] * 6]),
        (GAPS, [7] * 8 + [12] * 4, [[7] * 8, [12] * 4]),
        (by_rule(STOCK, "cpu"), [15] * 9, [[15] * 6, [15] * 3]),
        (by_rule(STOCK, "cpu"), [7, 15, 7, 15, 7, 15, 7], [[7, 15, 7, 15, 7, 15], [7]]),
        (by_rule(STOCK, "cpu"), [7] * 15, [[7] * 13, [7] * 2]),
        (by_rule(STOCK, "cpu"), [20] * 5, [[20] * 4, [20]]),
    ],
)
async def test_under_load_a_batch_is_as_large_as_the_table_allows_for_each_of_its_contexts(
    table: Tuning, waiting: list[int], batches: list[list[int]]
) -> None:
    batching = Batching(STOCK, table, workers=1)
    batching.callers = Counter(range(2 * BUSY_CALLERS))
    taken: list[list[int]] = []
    everything_waits = threading.Event()

    def run(batch: list[Prepared]) -> list[int]:
        assert everything_waits.wait(10)
        taken.append([item.context_s for item in batch])
        return [0] * len(batch)

    batcher: Batcher[Prepared, int] = Batcher("asr", run, key=batching.key, limit=batching.limit)
    batcher.start()
    tasks = [asyncio.create_task(batcher.submit(prepared(30)))]
    while not batcher.stats().running:
        await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(batcher.submit(prepared(context_s))) for context_s in waiting]
    while batcher.stats().queue_length < len(waiting):
        await asyncio.sleep(0.01)
    everything_waits.set()
    await asyncio.gather(*tasks)
    await asyncio.to_thread(batcher.close)
    assert taken[1:] == batches


@pytest.mark.parametrize(("workers", "callers"), [(1, 4), (2, 4), (3, 6), (16, 32)])
def test_more_workers_are_busy_with_more_callers(settings: Settings, workers: int, callers: int) -> None:
    batching = Batching(STOCK, GAPS, workers)
    for number, beam_size in (
        (callers - 1, settings.VOICE_ASR_BEAM),
        (callers, settings.VOICE_ASR_BUSY_BEAM),
    ):
        batching.callers = Counter(range(number))
        assert batching.beam_size == beam_size
        assert (batching.key(prepared(7)) == batching.key(prepared(12))) is (number == callers)
        stats = EngineStats(True, 1, number - 1, 0, 0, 0, 0.0, 0.0, cores=workers, workers=workers)
        assert should_spare(stats) is (number == callers)


@pytest.mark.parametrize(
    ("running", "waiting", "cores", "workers", "expected"),
    [
        (1, 0, 2, 2, False),
        (2, 0, 2, 2, True),
        (1, 1, 2, 2, True),
        (0, 0, 2, 2, False),
        (8, 8, 0, 1, False),  # a GPU
        (0, 0, 2, 0, False),  # an engine that does not report its workers
    ],
)
def test_a_unit_competes_if_all_workers_are_busy(
    running: int, waiting: int, cores: int, workers: int, expected: bool
) -> None:
    stats = EngineStats(True, waiting, running, 0, 0, 0, 0.0, 0.0, cores=cores, workers=workers)
    assert competes(stats) is expected
