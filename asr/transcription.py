"""Transcribe an audio file: decode it, cut the speech into segments, and recognise the segments.

The engine recognises the segments of all requests in shared batches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import islice

from django.conf import settings

from asr import hallucinations
from asr.audio import Recording, decode
from asr.checkpoint import Checkpoint
from asr.language_choice import FOLLOWING, Evidence, choose, is_sure
from asr.recognition import Recogniser, recognise, recognise_without_echo
from asr.segmenting import segments
from asr.transcript import Part, Transcript
from asr.units import Options, SpeechUnit
from asr.voice_activity import Segment
from inference.ordered import in_order
from inference.pool import in_first_pool


class Transcription:
    """The transcription of one recording. Create it with ``open``. Then iterate over ``parts`` or await ``whole``."""

    def __init__(
        self,
        recording: Recording,
        engine: Recogniser,
        checkpoint: Checkpoint,
        options: Options,
        deadline: float | None = None,
    ) -> None:
        self._recording = recording
        self._engine = engine
        self._options = options
        self._deadline = deadline
        self._found: list[Segment] | None = None
        self._detects = options.language is None and len(checkpoint.languages) != 1
        self._segments = segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s)
        fallback = [*options.candidates, *checkpoint.languages, *settings.VOICE_ASR_LANGUAGES][0]
        self.transcript = Transcript(
            recording.duration_s,
            options.language or fallback,
            detected=options.language is None,
            task=options.task,
            sound_s=recording.sound_s,
        )

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
        """Decode a file, and find its first segments. Return the transcription, which has recognised nothing yet.

        ``data``: the bytes of the audio file.
        ``deadline``: time after which the result is no longer needed, in seconds of ``time.monotonic()``; None for no
        deadline.

        Raise the errors of ``asr.audio.decode``.
        """

        def begin() -> Transcription:  # all work before the engine runs in one call in the thread pool
            recording = decode(data, max_duration_s=settings.VOICE_MAX_AUDIO_S)
            transcription = cls(recording, engine, checkpoint, options, deadline)
            transcription._find_first()
            return transcription

        return await in_first_pool(begin)

    @property
    def sound_s(self) -> float:
        """The seconds of audio in the file, for which the request is charged.

        Silence that was inserted into gaps of the file's timestamps does not count.
        """
        return self._recording.sound_s

    async def whole(self) -> Transcript:
        """Recognise the whole recording and return its transcript. Raise the engine's errors."""
        async for _ in self.parts():
            pass
        return self.transcript

    async def parts(self) -> AsyncIterator[Part]:
        """Yield the recognised parts in order, each as soon as its text and language are final.

        Several segments are recognised at the same time. Raise the engine's errors.
        """
        waiting: list[Part] = []
        decided: list[Evidence] = []
        async for part in self._recognised():
            waiting.append(part)
            while waiting and (len(waiting) > FOLLOWING or not self._detects or is_sure(Evidence.of(waiting[0]))):
                if kept := await self._settled(decided, waiting):
                    yield kept
        while waiting:
            if kept := await self._settled(decided, waiting):
                yield kept

    async def _settled(self, decided: list[Evidence], waiting: list[Part]) -> Part | None:
        """Remove the first part from ``waiting``, choose its final language, and return it.

        If the language changes, recognise the part again. Return None if ``asr.hallucinations`` rejects all of its text
        as invented.

        ``decided``: evidence for the languages of all earlier parts. The evidence of this part is appended.
        ``waiting``: recognised parts whose language is not final yet.
        """
        part, *following = waiting
        del waiting[0]
        if self._detects:
            own = Evidence.of(part)
            language = choose(own, [*decided, *map(Evidence.of, following[:FOLLOWING])])
            decided.append(own)
            if language != part.hypothesis.language:
                unit = self._unit(part.segment, replace(self._options, language=language), admitted=True)
                again = await recognise_without_echo(self._engine, part.segment, self._recording.float32, unit)
                part = Part(part.segment, replace(again, languages=part.hypothesis.languages))
        return self._checked(part)

    async def _recognised(self) -> AsyncIterator[Part]:
        """Yield the recognised parts in order, before their final languages are chosen.

        The first segment is sent alone, because the engine refuses this segment if it has no capacity for the request.
        """
        if self._found is None:
            await in_first_pool(self._find_first)
        if not self._found:
            return
        first, *more = self._found
        for number, part in enumerate(await self._recognise(first, admitted=False)):
            self.transcript.queued_ms = self.transcript.queued_ms if number else part.hypothesis.queued_ms
            yield part
        if not more:
            return
        ahead = 2 * settings.VOICE_ASR_BATCH
        async for parts in in_order(self._rest(more), self._recognise, ahead=ahead):
            for part in parts:
                yield part

    async def _recognise(self, segment: Segment, *, admitted: bool = True) -> list[Part]:
        unit = self._unit(segment, self._options, admitted=admitted)
        return await recognise(self._engine, segment, self._options, self._recording.float32, unit)

    def _find_first(self) -> None:
        """Find the first segment, and the second if there is one.

        The others are found later, because most requests to a voice assistant have only one segment.
        """
        self._found = list(islice(self._segments, 2))

    async def _rest(self, more: list[Segment]) -> AsyncIterator[Segment]:
        """Yield the segments in ``more``, and then all remaining segments.

        The remaining segments are found several at a time, to save calls to the thread pool.
        """
        for segment in more:
            yield segment

        def some(source: Iterator[Segment], count: int) -> list[Segment]:
            return list(islice(source, count))

        while found := await in_first_pool(some, self._segments, settings.VOICE_ASR_BATCH):
            for segment in found:
                yield segment

    def _unit(self, segment: Segment, options: Options, *, admitted: bool = False) -> SpeechUnit:
        audio = self._recording.float32(segment.start, segment.end)
        return SpeechUnit(audio=audio, options=options, deadline=self._deadline, admitted=admitted)

    def _checked(self, part: Part) -> Part | None:
        parts = self.transcript.parts
        before = parts[-1].text if parts else ""
        said = hallucinations.remove_invented([part], self._recording.float32, self._options, before)
        said = [part.within(len(self._recording.samples)) for part in said]
        parts += said
        return said[0] if said else None
