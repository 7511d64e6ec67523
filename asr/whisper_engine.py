"""Run Whisper in this process: load a checkpoint, compute audio features, and recognise speech.

Small models run on the native library (``asr.native``) if this processor can run it, and units join each other at any
time. All other models run on CTranslate2, in batches.

A *unit* is one speech segment to recognise (``asr.units.SpeechUnit``). Its *context* is the length of audio in seconds
that Whisper's encoder processes for it: the segment, padded with silence.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from django.conf import settings

from asr.batched_model import BatchedModel
from asr.batching import Batching
from asr.checkpoint import FULL_CONTEXT_S, Checkpoint, configured
from asr.decoding import Decoded, Recogniser
from asr.encoding import Prepared
from asr.log_mel import LogMel
from asr.native.library import find
from asr.native.model import NativeModel, Unsupported
from asr.native.session import DecodingSession
from asr.requests import Dialogue
from asr.tuning import (
    BATCH_SECONDS,
    Tuning,
    UnusableTable,
    allow_avx512,
    compute_type_here,
    cores_here,
    device_here,
    is_small,
    parallelism,
    tuning,
)
from asr.units import SAMPLE_RATE, Hypothesis, Options, SpeechUnit
from inference import memory, runtime, thread_priority
from inference.batcher import Batcher
from inference.continuous import ContinuousBatcher
from inference.engine import Engine, EngineStats
from inference.errors import DeadlineExceeded, EngineUnavailable
from inference.ordered import in_order
from inference.pool import in_live_pool, in_pool
from inference.scheduler import Scheduler

logger = logging.getLogger(__name__)

NAME = "asr"
WARM_UP_LEVEL = 0.1  # level of the noise, relative to full scale


class WhisperEngine:
    """An ``Engine[SpeechUnit, Hypothesis]`` that runs a Whisper model in this process.

    ``table``: tuning values for the model on this machine. If None, ``asr.tuning`` chooses them when the model is
    loaded.
    """

    def __init__(self, checkpoint: Checkpoint, table: Tuning | None = None) -> None:
        self.checkpoint = checkpoint
        self.table = table
        self._loading = asyncio.Lock()
        self._model: NativeModel | BatchedModel
        self._recogniser: Recogniser | None = None
        self._batcher: Scheduler[Prepared, Decoded] | None = None
        self._cores = 0  # number of CPU cores that the workers use
        self._last_used = time.monotonic()
        self._idle_check: asyncio.TimerHandle | None = None

    async def load(self) -> None:
        if self._batcher is not None:
            return
        async with self._loading:
            if self._batcher is None:
                loader = ThreadPoolExecutor(1, initializer=thread_priority.lower)
                try:
                    batcher = await asyncio.get_running_loop().run_in_executor(loader, self._load)
                finally:
                    loader.shutdown(wait=False)
                batcher.start()
                self._batcher = batcher

    async def close(self) -> None:
        if self._idle_check is not None:
            self._idle_check.cancel()
        batcher = self._batcher
        self._batcher = None
        if batcher is not None:
            await asyncio.to_thread(batcher.close)

    async def submit(self, unit: SpeechUnit) -> Hypothesis:
        await self.load()
        with self.batching.counted(unit):
            return await self._submit(unit)

    async def _submit(self, unit: SpeechUnit) -> Hypothesis:
        prepared = await (in_live_pool if unit.live else in_pool)(self._prepare, unit)
        self._last_used = time.monotonic()
        self._watch_idleness()
        assert self._batcher is not None
        first = await self._batcher.submit(prepared)
        if not first.is_doubtful or len(unit.options.temperatures) == 1 or prepared.context_s >= FULL_CONTEXT_S:
            return first.hypothesis
        return await self._decode_in_full_context(prepared, first.hypothesis)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Hypothesis]:
        return in_order(units, self.submit, ahead=2 * settings.VOICE_ASR_BATCH)

    async def _decode_in_full_context(self, prepared: Prepared, first: Hypothesis) -> Hypothesis:
        """Decode a unit again in the full encoder context of 30 s, because the text of the first try looks wrong.

        Return the second hypothesis, or the first if the second has no text or misses the unit's deadline.
        """
        assert self._batcher is not None
        again = replace(prepared, context_s=FULL_CONTEXT_S, admitted=True, is_second_try=True)
        try:
            second = (await self._batcher.submit(again)).hypothesis
        except DeadlineExceeded:
            return first
        return replace(second if second.text else first, queued_ms=prepared.queued_ms + again.queued_ms, tries=2)

    def stats(self) -> EngineStats:
        if self._batcher is None:
            return EngineStats(False, 0, 0, 0, 0, 0, 0.0, 0.0)
        return replace(self._batcher.stats(), cores=self._cores)

    @property
    def compute_type(self) -> str:
        """The number format in which the model computes, such as ``int8``. Read only after loading."""
        return self._model.compute_type

    def time_batch(self, units: list[SpeechUnit], context_s: int) -> float:
        """Run the units as one batch, and return the time taken in seconds.

        This method is for measurements, and bypasses the batcher.

        ``context_s``: encoder context for all units, in seconds.
        """
        batch = [replace(self._prepare(unit), context_s=context_s) for unit in units]
        started = time.perf_counter()
        self._run(batch)
        return time.perf_counter() - started

    def _load(self) -> Scheduler[Prepared, Decoded]:
        try:
            table = self.table or tuning(self.checkpoint, device_here(), cores_here())
        except UnusableTable as error:
            raise EngineUnavailable(str(error)) from error
        self.table = table
        workers, threads = parallelism(table, self.checkpoint, cores_here())
        if device_here() == "cpu":
            memory.keep_buffers()
            self._cores = workers * threads
        self.batching = Batching(self.checkpoint, table, workers)
        try:
            self._model = self._native_model(threads) or self._batched_model(workers, threads)
            self._features = LogMel(self._model.files.mel_filters)
            self._recogniser = Recogniser(self._model.files, self.checkpoint, languages=settings.VOICE_ASR_LANGUAGES)
            self._warm_up(workers)
        except Exception as error:  # a broken checkpoint may also fail on the first unit
            raise EngineUnavailable(f"cannot load the ASR model {self.checkpoint.source!r}: {error}") from error
        memory.give_back()
        return self._scheduler(workers)

    def _native_model(self, threads: int) -> NativeModel | None:
        """Load the model for the native library. Return None, and log why, if CTranslate2 has to run it."""
        try:
            library = self._library(threads)
            model = NativeModel(Path(self.checkpoint.source), self.checkpoint, library)
        except Unsupported as error:
            logger.info("CTranslate2 runs the ASR model", extra={"model": self.checkpoint.name, "reason": str(error)})
            return None
        logger.info("the native library runs the ASR model", extra={"model": self.checkpoint.name, "library": library})
        return model

    def _library(self, threads: int) -> Path:
        """Return the native library. Raise ``Unsupported`` if it cannot or should not run this model here."""
        if device_here() != "cpu" or compute_type_here() != "int8":
            raise Unsupported("The native library runs models only on a CPU and in int8.")
        if self.checkpoint.bundled:
            raise Unsupported("The words of the bundled model must be the same on all machines.")
        if not is_small(self.checkpoint):
            raise Unsupported(
                "The native library uses one thread for each segment, which is too slow for a large model."
            )
        if threads > 1:
            raise Unsupported("The tuning table gives each worker several threads, and the native library uses one.")
        library = find()
        if library.path is None:
            raise Unsupported(library.reason)
        return library.path

    def _batched_model(self, workers: int, threads: int) -> BatchedModel:
        from faster_whisper import WhisperModel  # slow to import, so it is imported in this thread, not at start-up

        allow_avx512()
        model = WhisperModel(
            self.checkpoint.source,
            device=settings.VOICE_ASR_DEVICE,
            compute_type=compute_type_here(),
            cpu_threads=threads,
            num_workers=workers,
        )
        return BatchedModel(model, self.checkpoint)

    def _scheduler(self, workers: int) -> Scheduler[Prepared, Decoded]:
        options: dict[str, Any] = {
            "workers": workers,
            "max_queue": settings.VOICE_ASR_QUEUE,
            "on_batch": runtime.batch_observer(NAME),
        }
        model = self._model
        if isinstance(model, NativeModel):

            def open_session() -> DecodingSession[Prepared, Decoded]:
                thread_priority.lower()  # this is the worker's own thread
                return model.open_session(self._recognise)

            # Each unit keeps its own context, so only their total is limited, because of the memory that it takes.
            return ContinuousBatcher(
                NAME, open_session, capacity=BATCH_SECONDS, limit=lambda item: settings.VOICE_ASR_BATCH, **options
            )
        return Batcher(NAME, self._run, key=self.batching.key, limit=self.batching.limit, **options)

    def _run(self, batch: list[Prepared]) -> list[Decoded]:
        """Run units together, from their beginning to their end."""
        return self._model.run(batch, self._recognise)

    def _recognise(self, item: Prepared) -> Dialogue[Decoded]:
        assert self._recogniser is not None
        return self._recogniser.recognise(item, self.batching.beam_size)

    def _warm_up(self, workers: int) -> None:
        """Recognise a second of noise on each worker, because a model's first calls are slow."""
        noise = np.random.default_rng(0).normal(0, WARM_UP_LEVEL, SAMPLE_RATE).astype(np.float32)
        item = self._prepare(SpeechUnit(audio=noise, options=Options(temperatures=(0.0,))))
        with ThreadPoolExecutor(workers, initializer=thread_priority.lower) as pool:
            list(pool.map(self._run, [[item]] * workers))

    def _prepare(self, unit: SpeechUnit) -> Prepared:
        assert self._recogniser is not None
        assert self.table is not None
        if not self.checkpoint.timestamps:
            unit = replace(unit, options=replace(unit.options, timestamps=False))
        return Prepared(
            unit=unit,
            features=self._features(unit.audio),
            context_s=self.table.context_s(unit.duration_s),
            prompt=self._recogniser.prompt(unit),
            deadline=unit.deadline,
            live=unit.live,
            admitted=unit.admitted,
        )

    def _watch_idleness(self) -> None:
        if settings.VOICE_ASR_IDLE_UNLOAD_S and self._idle_check is None:
            loop = asyncio.get_running_loop()
            self._idle_check = loop.call_later(settings.VOICE_ASR_IDLE_UNLOAD_S, self._unload_if_idle)

    def _unload_if_idle(self) -> None:
        self._idle_check = None
        stats = self.stats()
        if stats.running or stats.queue_length or time.monotonic() - self._last_used < settings.VOICE_ASR_IDLE_UNLOAD_S:
            self._watch_idleness()
        else:
            self._model.unload()
            memory.give_back()


def create() -> WhisperEngine:
    return WhisperEngine(configured())


def whisper() -> Engine[SpeechUnit, Hypothesis]:
    """Return the speech-recognition engine of this process."""
    return cast("Engine[SpeechUnit, Hypothesis]", runtime.engine(NAME))
