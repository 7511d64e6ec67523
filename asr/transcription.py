"""From the bytes of a file to its transcript: decode, find speech, recognise segments together with everyone else's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import islice

from django.conf import settings

from asr import guard
from asr.audio import Recording, decode
from asr.checkpoint import Checkpoint
from asr.transcript import Part, Transcript
from asr.units import Hypothesis, Options, SpeechUnit
from asr.voice_activity import Segment, segments
from inference.engine import Engine
from inference.ordered import in_order
from inference.pool import in_first_pool

Recogniser = Engine[SpeechUnit, Hypothesis]


class Transcription:
    """One recording on its way through the engine. ``open`` it, then iterate ``parts`` or await ``whole``."""

    def __init__(
        self,
        recording: Recording,
        engine: Recogniser,
        checkpoint: Checkpoint,
        options: Options,
        deadline: float | None = None,
    ) -> None:
        self._recording, self._engine, self._options, self._deadline = recording, engine, options, deadline
        self._found: list[Segment] | None = None
        self._segments = segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s)
        fallback = checkpoint.languages[0] if checkpoint.languages else settings.VOICE_ASR_LANGUAGES[0]
        language = options.language or fallback
        self.transcript = Transcript(recording.duration_s, language, options.task)

    @classmethod
    async def open(
        cls,
        data: bytes,
        engine: Recogniser,
        checkpoint: Checkpoint,
        options: Options,
        *,
        deadline: float | None = None,
    ) -> Transcription:
        """Raises ``ApiError`` for audio that cannot be used (see ``asr.audio.decode``)."""

        def begin() -> Transcription:  # one way to the pool and back for all that happens before the engine
            recording = decode(data, max_duration_s=settings.VOICE_MAX_AUDIO_S)
            transcription = cls(recording, engine, checkpoint, options, deadline)
            transcription._look()
            return transcription

        return await in_first_pool(begin)

    async def whole(self) -> Transcript:
        async for _ in self.parts():
            pass
        return self.transcript

    async def parts(self) -> AsyncIterator[Part]:
        """Recognised parts in order, the first as soon as it is there; several segments are under way at once.

        The first segment goes alone: it is refused if there is no room for the request, and its language, where none
        was asked for, is taken for the rest.
        """
        if self._found is None:
            await in_first_pool(self._look)
        if not self._found:
            return
        first, *more = self._found
        hypothesis = await self._engine.submit(self._unit(first, self._options))
        self.transcript.queued_ms = hypothesis.queued_ms
        if self._options.language is None:
            self.transcript.language = hypothesis.language
        if part := self._checked(first, hypothesis):
            yield part
        if not more:
            return
        options = replace(self._options, language=self.transcript.language)

        async def recognise(segment: Segment) -> tuple[Segment, Hypothesis]:
            return segment, await self._engine.submit(self._unit(segment, options, admitted=True))

        ahead = 2 * settings.VOICE_ASR_BATCH
        async for segment, following in in_order(self._rest(more), recognise, ahead=ahead):
            if part := self._checked(segment, following):
                yield part

    def _look(self) -> None:
        """Find the first segment, and whether it is the only one, as it is for most of what is said to an assistant."""
        self._found = list(islice(self._segments, 2))

    async def _rest(self, more: list[Segment]) -> AsyncIterator[Segment]:
        """``more`` and the remaining segments, a handful at a time, so that the pool is not asked for each."""
        for segment in more:
            yield segment

        def some(source: Iterator[Segment], count: int) -> list[Segment]:
            return [segment for segment, _ in zip(source, range(count), strict=False)]

        while found := await in_first_pool(some, self._segments, settings.VOICE_ASR_BATCH):
            for segment in found:
                yield segment

    def _unit(self, segment: Segment, options: Options, *, admitted: bool = False) -> SpeechUnit:
        audio = self._recording.float32(segment.start, segment.end)
        return SpeechUnit(audio=audio, options=options, deadline=self._deadline, admitted=admitted)

    def _checked(self, segment: Segment, hypothesis: Hypothesis) -> Part | None:
        kept = guard.checked(hypothesis, speech_s=segment.speech_s)
        if kept is None:
            return None
        part = Part(segment, kept)
        self.transcript.parts.append(part)
        return part
