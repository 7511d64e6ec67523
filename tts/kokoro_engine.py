"""The engine for Kokoro. Each worker thread speaks one sentence at a time.

Sentences are not batched, because the model's graph takes one sentence at a time. All workers share one onnxruntime
session.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inference import processor, thread_priority
from inference.batcher import Batcher
from inference.engine import EngineStats
from inference.errors import EngineUnavailable
from inference.ordered import in_order
from inference.runtime import batch_observer
from tts import kokoro
from tts.kokoro import SAMPLE_RATE, KokoroModel
from tts.phonemes import phonemes
from tts.units import Speech, SpeechUnit, speech_cost

logger = logging.getLogger(__name__)

NAME = "kokoro"
_AHEAD = 4
_WARM_UP = "sˈatu dˈua."
_WARM_UP_TEXT = "Satu dua."  # the text whose phonemes are in _WARM_UP
_THREADS_OF_ONE = 2  # the default number of threads for one sentence; more threads gain little


class KokoroEngine:
    """Speaks sentences with Kokoro, several at once. If a sentence fails, the engine reloads the model and tries again.

    ``threads``: number of CPU threads for one sentence; 0 means two, or one on a single core.
    ``workers``: number of sentences spoken at once; 0 means the number of cores divided by ``threads``.
    ``max_queue``: maximum number of waiting sentences.
    ``load``: function that loads the model.
    """

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        workers: int = 0,
        max_queue: int = 1024,
        load: Callable[..., KokoroModel] = kokoro.load,
    ) -> None:
        cores = processor.cores()
        self._threads = threads or min(_THREADS_OF_ONE, cores)
        self._workers = workers or max(1, cores // self._threads)
        self._directory = directory
        self._device = device
        self._load_model = load
        self._model: KokoroModel | None = None
        self._loading = asyncio.Lock()
        self._thread = threading.local()
        self._batcher: Batcher[SpeechUnit, Speech] = Batcher(
            NAME,
            self._run,
            limit=lambda unit: 1,
            workers=self._workers,
            max_queue=max_queue,
            on_batch=batch_observer(NAME),
        )

    async def load(self) -> None:
        """Load the model, warm it up with a few words, and measure its speed."""
        async with self._loading:
            if self._batcher.stats().ready:
                return
            # onnxruntime's threads inherit the lowered priority.
            priority = (thread_priority.VERY_NICE,)
            with ThreadPoolExecutor(1, initializer=thread_priority.lower, initargs=priority) as loader:
                self._model = await asyncio.wrap_future(loader.submit(self._warm_model))
                fastest = await asyncio.wrap_future(loader.submit(_seconds_per_cost, self._model))
            self._batcher.start(fastest=fastest)

    async def close(self) -> None:
        await asyncio.to_thread(self._batcher.close)

    async def submit(self, unit: SpeechUnit) -> Speech:
        return await self._batcher.submit(unit)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Speech]:
        return in_order(units, self.submit, ahead=_AHEAD)

    def stats(self) -> EngineStats:
        return self._batcher.stats()

    def _warm_model(self) -> KokoroModel:
        model = self._load_model(self._directory, device=self._device, threads=self._threads)
        model.speak(_WARM_UP, kokoro.first_pack())
        return model

    def _run(self, units: list[SpeechUnit]) -> list[Speech | Exception]:
        if not getattr(self._thread, "is_lowered", False):
            thread_priority.lower(thread_priority.VERY_NICE)
            self._thread.is_lowered = True
        return [self._speak(unit) for unit in units]

    def _speak(self, unit: SpeechUnit) -> Speech | Exception:
        try:
            return self._try(unit)
        except EngineUnavailable as error:  # the voice's pack cannot be read
            return error
        except Exception as error:  # noqa: BLE001  # whatever onnxruntime raises
            logger.warning("a sentence failed (%s): once more with the model loaded afresh", type(error).__name__)
        try:
            self._model = self._warm_model()
            return self._try(unit)
        except Exception as error:  # noqa: BLE001
            logger.error("a sentence failed again: %s", type(error).__name__)  # the text is private, so not logged
            return EngineUnavailable(f"Kokoro could not speak a sentence ({type(error).__name__}).")

    def _try(self, unit: SpeechUnit) -> Speech:
        assert self._model is not None
        pack = kokoro.pack_of(str(unit.voice.parameters["pack"]))
        speed = unit.speed * int(unit.voice.parameters.get("pace", 100)) / 100
        within = min(max(speed, kokoro.MIN_SPEED), kokoro.MAX_SPEED)
        audio = self._model.speak(phonemes(unit.text, unit.language), pack, within)
        return Speech(audio, SAMPLE_RATE, speed / within)


def _seconds_per_cost(model: KokoroModel) -> float:
    """Measure and return the seconds that a warm, idle model takes for a cost of 1 (``tts.units.speech_cost``)."""
    began = time.perf_counter()
    model.speak(_WARM_UP, kokoro.first_pack())
    return (time.perf_counter() - began) / speech_cost(_WARM_UP_TEXT)
