"""The engine for Coqui models. A batch holds sentences of one voice and one language, of similar length."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import replace

from inference.batcher import Batcher
from inference.engine import EngineStats
from inference.errors import EngineUnavailable
from inference.ordered import in_order
from inference.runtime import batch_observer
from spoken_text.pronunciation.espeak_markup import plain_text
from tts import coqui
from tts.units import Speech, SpeechUnit
from tts.voices import Catalogue

_AHEAD = 8
# Sentences in a batch differ in length by less than this, because all of them are padded to the longest.
_BUCKET_CHARACTERS = 80


class CoquiEngine:
    """Runs all configured Coqui models. Each unit is a sentence to speak.

    ``submit`` raises ``EngineUnavailable``, with the reason, if the model of the unit's voice has not loaded.
    """

    def __init__(
        self,
        sources: Sequence[coqui.ModelSource],
        voices: Catalogue,
        *,
        name: str = "coqui",
        device: str = "auto",
        threads: int = 0,
        max_batch: int = 16,
        max_queue: int = 1024,
    ) -> None:
        self._sources = list(sources)
        self._voices = voices
        self._device = device
        self._threads = threads
        self._models: dict[str, coqui.CoquiModel] = {}
        self._failures: dict[str, str] = {}
        self._loading = asyncio.Lock()
        self._batcher: Batcher[SpeechUnit, Speech] = Batcher(
            name,
            self._run,
            key=_batch_key,
            limit=lambda unit: max_batch,
            max_queue=max_queue,
            on_batch=batch_observer(name),
        )

    async def load(self) -> None:
        async with self._loading:
            if not self._batcher.stats().ready:
                self._batcher.start()
            for source in self._sources:
                if source.id not in self._models:
                    await self._load(source)
        if self._failures:
            raise EngineUnavailable("; ".join(self._failures.values()))

    async def close(self) -> None:
        await asyncio.to_thread(self._batcher.close)

    async def submit(self, unit: SpeechUnit) -> Speech:
        if unit.voice.model not in self._models:
            raise EngineUnavailable(self._failures.get(unit.voice.model, f"{unit.voice.model} is still loading"))
        return await self._batcher.submit(unit)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Speech]:
        return in_order(units, self.submit, ahead=_AHEAD)

    def stats(self) -> EngineStats:
        cores = max((model.cores for model in self._models.values()), default=0)
        return replace(self._batcher.stats(), cores=cores)

    async def _load(self, source: coqui.ModelSource) -> None:
        try:
            model = await asyncio.to_thread(coqui.load, source, self._device, self._threads)
        except EngineUnavailable as error:
            self._failures[source.id] = str(error)
            return
        self._failures.pop(source.id, None)
        self._models[source.id] = model
        self._voices.register(model.voices())

    def _run(self, units: list[SpeechUnit]) -> list[Speech | Exception]:
        first = units[0]
        model = self._models[first.voice.model]
        speaker = first.voice.parameters.get("speaker")
        spoken = model.speak(
            [plain_text(unit.text) for unit in units], str(speaker) if speaker else None, first.language
        )
        return [
            audio if isinstance(audio, Exception) else Speech(audio, model.sample_rate, unit.speed)
            for audio, unit in zip(spoken, units, strict=True)
        ]


def _batch_key(unit: SpeechUnit) -> Hashable:
    speaker = unit.voice.parameters.get("speaker")
    return unit.voice.model, speaker, unit.language, len(unit.text) // _BUCKET_CHARACTERS
