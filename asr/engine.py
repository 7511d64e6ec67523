"""The Whisper engine of this process: loads a checkpoint, prepares units in the CPU pool, runs them in batches."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from django.conf import settings

from asr.checkpoint import Checkpoint, configured
from asr.decoding import Decoder, Prepared
from asr.features import LogMel
from asr.units import Hypothesis, SpeechUnit
from inference import runtime
from inference.batcher import Batcher
from inference.engine import Engine, EngineStats
from inference.errors import EngineUnavailable
from inference.ordered import in_order
from inference.pool import in_pool

NAME = "asr"
SMALL_MODEL_BYTES = 100_000_000
BATCH_SECONDS = 160  # of encoder context in one batch: beyond it a batch takes longer without taking less per item


class WhisperEngine:
    """``Engine[SpeechUnit, Hypothesis]`` on faster-whisper and CTranslate2."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._loading = asyncio.Lock()
        self._decoder: Decoder | None = None
        self._batcher: Batcher[Prepared, Hypothesis] | None = None
        self._last_used = time.monotonic()
        self._idle_check: asyncio.TimerHandle | None = None

    async def load(self) -> None:
        if self._batcher is not None:
            return
        async with self._loading:
            if self._batcher is None:
                await asyncio.to_thread(self._load)

    async def close(self) -> None:
        if self._idle_check is not None:
            self._idle_check.cancel()
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await asyncio.to_thread(batcher.close)

    async def submit(self, unit: SpeechUnit) -> Hypothesis:
        await self.load()
        prepared = await in_pool(self._prepare, unit)
        self._last_used = time.monotonic()
        self._watch_idleness()
        assert self._batcher is not None
        return await self._batcher.submit(prepared)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Hypothesis]:
        return in_order(units, self.submit, ahead=2 * settings.VOICE_ASR_BATCH)

    def stats(self) -> EngineStats:
        if self._batcher is None:
            return EngineStats(False, 0, 0, 0, 0, 0, 0.0, 0.0)
        return self._batcher.stats()

    def _load(self) -> None:
        from faster_whisper import WhisperModel  # imported late: the server answers before this is read

        cores = settings.VOICE_ASR_THREADS or os.cpu_count() or 1
        workers, threads = self._parallelism(cores)
        try:
            self._model = WhisperModel(
                self.checkpoint.source,
                device=settings.VOICE_ASR_DEVICE,
                compute_type=settings.VOICE_ASR_COMPUTE_TYPE,
                cpu_threads=threads,
                num_workers=workers,
            )
        except Exception as error:
            raise EngineUnavailable(f"cannot load the ASR model {self.checkpoint.source!r}: {error}") from error
        self._features = LogMel(self._model.feature_extractor.mel_filters)
        self._decoder = Decoder(
            self._model,
            self.checkpoint,
            beam_size=settings.VOICE_ASR_BEAM,
            languages=settings.VOICE_ASR_LANGUAGES,
        )
        batcher: Batcher[Prepared, Hypothesis] = Batcher(
            NAME,
            self._run,
            key=lambda item: item.key,
            limit=lambda item: max(1, min(settings.VOICE_ASR_BATCH, BATCH_SECONDS // item.context_s)),
            workers=workers,
            max_queue=settings.VOICE_ASR_QUEUE,
            on_batch=runtime.batch_observer(NAME),
        )
        batcher.start()
        self._batcher = batcher

    def _parallelism(self, cores: int) -> tuple[int, int]:
        """Workers and threads of each. A small model gains nothing from many threads: half of the cores run it, one
        worker each, while the others decode audio, find speech and compute features."""
        weights = Path(self.checkpoint.source) / "model.bin"
        small = weights.is_file() and weights.stat().st_size < SMALL_MODEL_BYTES
        return (max(1, cores // 2), 1) if small else (1, cores)

    def _prepare(self, unit: SpeechUnit) -> Prepared:
        assert self._decoder is not None
        if not self.checkpoint.timestamps:
            unit = replace(unit, options=replace(unit.options, timestamps=False))
        return Prepared(
            unit=unit,
            features=self._features(unit.audio),
            context_s=self.checkpoint.context_s(unit.duration_s),
            prompt=self._decoder.prompt(unit),
            deadline=unit.deadline,
            live=unit.live,
            admitted=unit.admitted,
        )

    def _run(self, batch: list[Prepared]) -> list[Hypothesis]:
        assert self._decoder is not None
        if not self._model.model.model_is_loaded:
            self._model.model.load_model()
        return self._decoder.decode(batch)

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
            self._model.model.unload_model()


def create() -> WhisperEngine:
    return WhisperEngine(configured())


def whisper() -> Engine[SpeechUnit, Hypothesis]:
    """The engine of this process."""
    return cast("Engine[SpeechUnit, Hypothesis]", runtime.engine(NAME))
