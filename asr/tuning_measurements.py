"""Measure which settings run a model fastest on this device, for ``manage.py tune_asr``.

The first step finds the numbers of workers and threads with which the whole engine recognises the most speech per
second. The second step finds, for each length of encoder context, the batch size above which the time per item hardly
falls any further. The encoder context is the length of audio that Whisper's encoder processes for a segment. A context
that takes hardly less time than the next longer one is dropped, because segments with different contexts usually cannot
share a batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from django.test.utils import override_settings

from asr.checkpoint import Checkpoint
from asr.tuning import Tuning, by_rule, cores_here, device_here
from asr.units import MAX_SEGMENT_S, SAMPLE_RATE, Options, Samples, SpeechUnit
from asr.whisper_engine import WhisperEngine

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CLEAR_GAIN = 0.03  # a smaller relative gain may be noise, so it is ignored
CALLERS = 32  # number of parallel callers; enough to keep the engine busy
SHORT_S = 4.0  # usual length of a request to a voice assistant
LONGEST_BATCH_S = 2.0  # larger batches are not measured, because other requests would wait too long for them

Tell = Callable[[str], None]


async def measured(checkpoint: Checkpoint, speech: Samples, *, seconds: float, tell: Tell) -> Tuning:
    """Measure the model on this device, and return the best tuning.

    ``speech``: recorded speech of any length, float32 (n,) at 16 kHz.
    ``seconds``: duration of each measurement in the first step.
    ``tell``: called with a line of text after each measurement.

    Raise ``EngineUnavailable`` if the model cannot be loaded.
    """
    device = device_here()
    cores = cores_here()
    start = by_rule(checkpoint, device)
    rates: dict[tuple[int, int], float] = {}
    for workers, threads in splits(device, cores):
        table = replace(start, workers=workers, threads=threads)
        rates[workers, threads] = await _rate(checkpoint, table, speech, seconds)
        tell(f"{workers} x {threads} threads: {rates[workers, threads]:.1f} segments of {SHORT_S:g} s a second")
    workers, threads = best(rates)
    engine = WhisperEngine(checkpoint, replace(start, workers=workers, threads=threads))
    await engine.load()
    try:
        costs = {context: await _costs(engine, context, speech) for context in checkpoint.contexts_s}
        compute_type = engine.compute_type
    finally:
        await engine.close()
    for context, by_batch in costs.items():
        tell(f"{context} s: " + ", ".join(f"{1000 * cost:.1f} ms at {batch}" for batch, cost in by_batch.items()))
    batches = {context: smallest_good_batch(costs[context]) for context in contexts_worth_having(costs)}
    return Tuning(
        model=checkpoint.name,
        device=device,
        compute_type=compute_type,
        batches=batches,
        cores=cores,
        workers=workers,
        threads=threads,
        margin_s=checkpoint.margin_s,
        measured=_for_people(rates, costs),
    )


def splits(device: str, cores: int) -> list[tuple[int, int]]:
    """Return the pairs (workers, threads of each worker) to measure.

    On a GPU, the pairs have one or two workers. On a CPU, they range from many workers with one thread each to one
    worker with many threads.
    """
    if device != "cpu":
        return [(1, 1), (2, 1)]
    half = max(1, cores // 2)
    return sorted({(half, 1), (cores, 1), (1, half), (1, cores), (max(1, half // 2), 2 if cores > 2 else 1)})


def best(rates: dict[tuple[int, int], float]) -> tuple[int, int]:
    """Return the pair (workers, threads of each worker) with the fewest threads, among those that are nearly fastest.

    ``rates``: segments per second for each pair.
    """
    most = max(rates.values())
    return next(split for split in sorted(rates, key=np.prod) if rates[split] >= most * (1 - CLEAR_GAIN))


def smallest_good_batch(costs: dict[int, float]) -> int:
    """Return the smallest batch size whose cost per item is nearly the lowest.

    ``costs``: seconds per item for each batch size.
    """
    least = min(costs.values())
    return next(batch for batch in sorted(costs) if costs[batch] <= least * (1 + CLEAR_GAIN))


def contexts_worth_having(costs: dict[int, dict[int, float]]) -> list[int]:
    """Return the lengths of encoder context to use, in seconds, ascending.

    Keep the longest context, and each context that takes clearly less time per item than the next longer one that is
    kept.

    ``costs``: for each context in seconds, the seconds per item for each batch size.
    """
    kept: list[int] = []
    for context in sorted(costs, reverse=True):
        if not kept or min(costs[context].values()) < min(costs[kept[-1]].values()) * (1 - CLEAR_GAIN):
            kept.append(context)
    return sorted(kept)


async def _rate(checkpoint: Checkpoint, table: Tuning, speech: Samples, seconds: float) -> float:
    """Return the number of segments that the engine recognises per second while it is fully loaded."""
    engine = WhisperEngine(checkpoint, table)
    await engine.load()
    done = 0
    started = time.monotonic()

    async def caller(number: int) -> None:
        nonlocal done
        while time.monotonic() - started < seconds:
            await engine.submit(_unit(speech, SHORT_S, number))
            done += 1

    try:
        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        return done / (time.monotonic() - started)
    finally:
        await engine.close()


async def _costs(engine: WhisperEngine, context_s: int, speech: Samples) -> dict[int, float]:
    """Return the seconds per item for each batch size, in an encoder context of ``context_s`` seconds.

    Each figure is the better of two runs. Batch sizes are measured in ascending order, until the time per item gets
    clearly worse or a batch takes too long.
    """
    length = min(0.9 * context_s, MAX_SEGMENT_S)
    costs: dict[int, float] = {}
    with override_settings(VOICE_ASR_BATCH=BATCHES[-1]):
        for batch in BATCHES:
            units = [_unit(speech, length, number) for number in range(batch)]
            taken = min([await asyncio.to_thread(engine.time_batch, units, context_s) for _ in range(2)])
            costs[batch] = taken / batch
            worse = costs[batch] > min(costs.values()) * (1 + CLEAR_GAIN)
            if taken > LONGEST_BATCH_S or (worse and batch > BATCHES[1]):
                break
    return costs


def _unit(speech: Samples, seconds: float, number: int) -> SpeechUnit:
    length = int(seconds * SAMPLE_RATE)
    repeated = np.resize(speech, max(len(speech), 2 * length))
    start = number * SAMPLE_RATE // 3 % (len(repeated) - length)  # a different piece of speech for each number
    return SpeechUnit(audio=repeated[start : start + length], options=Options())


def _for_people(rates: dict[tuple[int, int], float], costs: dict[int, dict[int, float]]) -> dict[str, Any]:
    return {
        "segments_per_second": {f"{workers}x{threads}": round(rate, 1) for (workers, threads), rate in rates.items()},
        "ms_per_segment": {
            str(context): {str(batch): round(1000 * cost, 2) for batch, cost in by_batch.items()}
            for context, by_batch in costs.items()
        },
    }


def batches_of(table: Tuning) -> Sequence[str]:
    """Return one text for each length of encoder context, which tells the operator the maximum batch size for it."""
    return [f"up to {batch} together in {context} s" for context, batch in sorted(table.batches.items())]
