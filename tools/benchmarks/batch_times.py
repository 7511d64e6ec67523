"""Measure how long batches of different sizes take on the engines of this process, with no other load.

A batch consists of units, each a speech segment or a sentence. ``tools.planning.rates`` defines what a unit costs.
Batches of the same cost are run several times, and only the fastest run counts, because other programs may have
disturbed the slower ones. In the given time, a slow model completes only the small batches, while a fast model runs
every size several times.
"""

from __future__ import annotations

import asyncio
import copy
import io
import os
import statistics
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tools.benchmarks import environment

environment.prepare()

from tools.benchmarks.workload import SENTENCES, clips, said  # noqa: E402
from tools.planning.rates import ASR, TTS, BatchTime, fit_line  # noqa: E402

BURSTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # units submitted at once
ROUNDS = 5  # repetitions of all bursts, if there is time
MIN_UNITS = 6  # single units that are always run, even beyond the given time, because fitting a line needs them


@dataclass(frozen=True)
class Engine:
    """Measurements of one engine.

    ``name``: the engine's name.
    ``model``: the model's name.
    ``batch``: batch times and limits.
    ``sizes``: sizes of the benchmark's requests, in seconds of audio or in characters.
    ``stages``: how the audio thread pool's time for a request divides among its jobs: a share for each job, in the
    order in which the jobs run.
    """

    name: str
    model: str
    batch: BatchTime
    sizes: tuple[float, ...]
    stages: tuple[float, ...]


@dataclass(frozen=True)
class BatchRun:
    """One batch that was run: the total cost of its units, and its duration in seconds."""

    cost: float
    seconds: float


async def measure(seconds: float) -> dict[str, Engine]:
    """Measure the ASR engine and the TTS engine, each for about ``seconds``; return both, keyed by kind of work."""
    from django.conf import settings

    from asr.batching import LONGEST_MIXED_CONTEXT_S
    from asr.checkpoint import configured
    from asr.tuning import cores_here, device_here, parallelism, tuning
    from asr.units import Options, SpeechUnit
    from asr.whisper_engine import NAME, whisper
    from inference import runtime
    from tts.units import PIECE_COST
    from tts.units import SpeechUnit as Sentence
    from tts.voices import default_voice

    await runtime.load_all()
    checkpoint = configured()
    voice = default_voice()
    table = tuning(checkpoint, device_here(), cores_here())
    workers, threads = parallelism(table, checkpoint, cores_here())
    files = clips()
    lengths = [_seconds(file) for file in files]
    heard = [SpeechUnit(audio=_speech(file, checkpoint), options=Options(language="ms")) for file in files]
    silence_s = statistics.fmean(lengths) - statistics.fmean(unit.duration_s for unit in heard)
    context_s = table.context_s(heard[0].duration_s)
    # Units of one context share batches whether or not the engine is busy.
    heard = [unit for unit in heard if table.context_s(unit.duration_s) == context_s]
    spoken = [Sentence(text=text, voice=voice) for text in _texts()]
    recogniser: Any = whisper()
    speaker = runtime.engine(voice.engine)
    ran_asr = await _bursts(NAME, recogniser, heard, [float(context_s)] * len(heard), seconds)
    ran_tts = await _bursts(voice.engine, speaker, spoken, [unit.cost for unit in spoken], seconds)
    tts_threads, tts_workers = await _parallel(speaker, spoken[0], voice.engine)
    found = {
        ASR: Engine(
            NAME,
            checkpoint.name,
            BatchTime(
                *_fit(ran_asr),
                settings.VOICE_ASR_BATCH,
                float(context_s * table.limit(context_s)),  # for the measured clips; other contexts differ little
                tuple(map(float, checkpoint.contexts_s)),
                workers=workers,
                threads=threads if device_here() == "cpu" else 1,
                queue=settings.VOICE_ASR_QUEUE,
                margin_s=table.margin_s - silence_s,
                longest_mixed=LONGEST_MIXED_CONTEXT_S if recogniser.batching.mixes_contexts else 0,
            ),
            tuple(lengths),
            await _shares_asr(checkpoint, recogniser._features),
        ),
        TTS: Engine(
            voice.engine,
            voice.model,
            BatchTime(
                *_fit(ran_tts),
                max(1, speaker.stats().largest_batch),
                workers=tts_workers,
                threads=tts_threads,
                queue=settings.VOICE_TTS_QUEUE,
                unit_cost=PIECE_COST,
            ),
            tuple(float(len(said(number))) for number in range(len(SENTENCES))),
            _shares_tts(voice),
        ),
    }
    await runtime.close_all()
    return found


def _seconds(file: bytes) -> float:
    with wave.open(io.BytesIO(file)) as audio:
        return float(audio.getnframes() / audio.getframerate())


def _speech(file: bytes, checkpoint: Any) -> Any:
    """Decode a WAV file and return its first speech segment as float32 samples."""
    from asr.audio import decode
    from asr.segmenting import segments

    recording = decode(file, max_duration_s=60)
    first = next(segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s))
    return recording.float32(first.start, first.end)


def _texts() -> list[str]:
    """Return sentences of normal, half and double length in turn.

    The lengths differ, because otherwise the fixed time of a batch could not be separated from the time that grows
    with the length.
    """
    texts = []
    for number, sentence in enumerate(SENTENCES):
        words = sentence.split()
        half = " ".join(words[: len(words) // 2]).capitalize() + "."
        double = f"{said(number)[:-1]} dan {SENTENCES[-1 - number]}."
        texts.append((said(number), half, double)[number % 3])
    return texts


async def _bursts(
    name: str, engine: Any, units: Sequence[Any], costs: Sequence[float], seconds: float
) -> list[BatchRun]:
    """Submit units in bursts, and return the batches that the engine made of them.

    The engine may split a burst into several batches. Each unit is then assumed to have the mean cost of the burst.

    If the engine makes a separate batch of every unit, the units are submitted again, one by one. Otherwise its workers
    would run them at the same time and finish in any order, and the measured times could not be matched to the units.

    ``name``: the engine's name.
    ``costs``: the cost of each unit.
    ``seconds``: how long to measure. At least ``MIN_UNITS`` units are run even if this takes longer.
    """
    from inference import runtime

    seen: list[tuple[int, float]] = []
    runtime.observe_batches(lambda engine, size, took: seen.append((size, took)) if engine == name else None)
    ran: list[BatchRun] = []
    each_s = 0.0
    taken = 0
    single: set[int] = {1}  # sizes of bursts whose units each became a separate batch
    began = time.monotonic()
    for burst in BURSTS * ROUNDS:
        left_s = seconds - (time.monotonic() - began)
        if burst * each_s > left_s and (taken >= MIN_UNITS or burst > 1):
            continue
        chosen = [(taken + index) % len(units) for index in range(burst)]
        taken += burst
        started = time.monotonic()
        if burst not in single:
            seen.clear()
            await asyncio.gather(*(engine.submit(copy.copy(units[index])) for index in chosen))
            if all(size == 1 for size, _took in seen):
                single.add(burst)
            else:
                mean = statistics.fmean(costs[index] for index in chosen)
                ran += [BatchRun(size * mean, took) for size, took in seen]
        if burst in single:
            seen.clear()
            for index in chosen:
                await engine.submit(copy.copy(units[index]))
            ran += [BatchRun(costs[index], took) for index, (_size, took) in zip(chosen, seen, strict=True)]
        each_s = (time.monotonic() - started) / burst
    return ran


def _fit(ran: Sequence[BatchRun]) -> tuple[float, float]:
    fastest: dict[float, float] = {}
    for one in ran:
        fastest[one.cost] = min(one.seconds, fastest.get(one.cost, one.seconds))
    return fit_line(sorted(fastest.items()))


async def _parallel(engine: Any, unit: Any, name: str) -> tuple[int, int]:
    """Return the number of threads that one batch uses, and the number of batches that run in parallel.

    The number of threads is estimated as the CPU time of one batch divided by its duration.
    """
    import threading

    used = time.process_time()
    began = time.monotonic()
    await engine.submit(copy.copy(unit))
    busy = (time.process_time() - used) / (time.monotonic() - began)
    workers = sum(thread.name.startswith(f"{name}-") for thread in threading.enumerate())
    return max(1, round(busy)), max(1, workers)


def device() -> str:
    """Return the name of the processor or GPU that the engines run on."""
    import ctranslate2
    from django.conf import settings

    wanted = settings.VOICE_ASR_DEVICE
    is_gpu = wanted == "cuda" or (wanted == "auto" and ctranslate2.get_cuda_device_count() > 0)
    if not is_gpu:
        return f"processor, {environment.processor()}, {os.cpu_count()} cores"
    import pynvml

    pynvml.nvmlInit()
    return f"GPU, {pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))}"


def _timed(work: Callable[[], Any]) -> float:
    """Run ``work`` five times and return the CPU seconds of the fastest run."""
    times = []
    for _ in range(5):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


async def _shares_asr(checkpoint: Any, features: Callable[[Any], Any]) -> tuple[float, ...]:
    """Return how the audio thread pool's time for an ASR request divides among its jobs, as shares that sum to 1.

    The jobs are, in this order:

    - decode the file;
    - find the first speech segment;
    - compute its features;
    - after the engine, look for further speech.
    """

    from asr.audio import decode
    from asr.segmenting import segments

    file = clips()[0]
    recording = decode(file, max_duration_s=60)
    found = list(segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s))
    parts = [
        _timed(lambda: decode(file, max_duration_s=60)),
        _timed(lambda: next(segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s))),
        _timed(lambda: features(recording.float32(found[0].start, found[0].end))),
        1e-5,
    ]
    return tuple(round(part / sum(parts), 4) for part in parts)


def _shares_tts(voice: Any) -> tuple[float, ...]:
    """Return how the audio thread pool's time for a TTS request divides among its jobs, as shares that sum to 1.

    The jobs are, in this order:

    - split the text into sentences;
    - after the engine, finish the audio;
    - encode the audio.
    """
    import numpy as np

    from tts.encoding import AudioFormat, encode
    from tts.espeak import SAMPLE_RATE, speak
    from tts.synthesis import finish, sentences_of
    from tts.units import Speech

    speech = Speech(speak(said(0), "ms").astype(np.float32) / np.float32(32768), SAMPLE_RATE)
    samples = finish(speech)
    parts = [
        _timed(lambda: sentences_of(said(0), "ms")),
        _timed(lambda: finish(speech)),
        _timed(lambda: encode(samples, AudioFormat.MP3)),
    ]
    return tuple(round(part / sum(parts), 4) for part in parts)
