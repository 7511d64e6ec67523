"""One utterance of live speech, from audio to text.

Each segment of the utterance is recognised as soon as it is complete. Until then, the open segment is recognised
repeatedly to show partial results (``start_partial``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from asr import hallucinations
from asr.batching import competes, should_spare
from asr.checkpoint import Checkpoint
from asr.language_choice import FOLLOWING, Evidence, choose
from asr.recognition import Recogniser, recognise, recognise_without_echo
from asr.segmenting import Piece, Segmenter
from asr.stable_words import Agreement
from asr.transcript import Part, join
from asr.units import SAMPLE_RATE, Options, Samples, SpeechUnit, Token, Word
from core.logs import without_messages
from inference.errors import InferenceError

PARTIAL_EVERY_MS = 400  # minimum length of new audio between two partial results
FIRST_PARTIAL_WITHIN_MS = 3_000
# Together with the padding, this is about one word. Recognising less would find no word, and delay the next partial
# result.
FIRST_PARTIAL_SPEECH_S = 0.6
BUSY_S = 0.25  # if new work would wait longer than this, a partial result is skipped unless it is overdue
# After this time without a partial result, the next one is started even if it would have to wait. It then gets the
# priority of a final result.
OVERDUE_S = 2.0
# The same while the engine is busy (``asr.batching.should_spare``). With two seconds, partial results were 30 % of the
# work of a busy recogniser, while files were refused. With eight, a user who speaks for long usually still sees words.
BUSY_OVERDUE_S = 8.0
PARTIAL_BACKOFF = 1.0  # pause after a partial result on an idle engine, as a multiple of the time that it took
BUSY_PARTIAL_BACKOFF = 8.0  # the same for a partial result that competed with other work, to leave the engine to it
MAX_PARTIAL_BACKOFF_S = 1.5
MAX_BUSY_PARTIAL_BACKOFF_S = 4.0  # under load, partial results would otherwise be two fifths of the recogniser's work
# A partial result that waited longer for its batch competed with other work. With continuous batching, it hardly waits,
# but all workers run other units when it starts (``asr.batching.competes``).
WAITED_MS = 30.0
PARTIAL_DEADLINE_S = 2.0  # a partial result that would come later is of no use
FINAL_DEADLINE_S = 30.0
_UNSPACED = ("zh", "yue", "ja")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UtteranceResult:
    """The final text of an utterance.

    ``words``: words with their times since the start of the stream; empty unless requested.
    ``tokens``: tokens with their log probabilities; empty unless requested.
    ``start``: start of the speech, in samples since the start of the stream.
    ``end``: end of the speech, in samples since the start of the stream.
    ``language``: code of the language of the first segment.
    ``queued_ms``: total time in milliseconds that the segments waited for their batches.
    ``last_text``: text of the last segment. If the utterance has no text, it is that of the segment before the
    utterance.
    """

    text: str
    words: tuple[Word, ...]
    tokens: tuple[Token, ...]
    start: int
    end: int
    language: str
    queued_ms: float
    last_text: str


@dataclass
class _Closed:
    """A complete segment, and the task that recognises it.

    ``asr.hallucinations`` has not yet checked the task's result.
    """

    piece: Piece
    task: asyncio.Task[list[Part]]

    def kept(self, options: Options) -> list[Part]:
        return hallucinations.remove_invented(self.task.result(), self.piece.samples, options)


class Utterance:
    """One utterance of live speech. Call ``feed`` for each frame, and ``complete`` or ``abandon`` at the end.

    ``start``: start of the utterance, in samples since the start of the stream.
    ``on_partial``: called as ``on_partial(utterance, text, stable)`` with each partial result. ``stable`` is the
    beginning of ``text`` that later partial results do not change.
    ``threshold``: minimum probability with which a frame counts as speech.
    ``stream``: number of the stream (``SpeechUnit.stream``).
    ``not_before``: first sample that may belong to the utterance.
    """

    def __init__(
        self,
        number: int,
        start: int,
        engine: Recogniser,
        checkpoint: Checkpoint,
        options: Options,
        on_partial: Callable[[Utterance, str, str], None],
        *,
        threshold: float,
        stream: int,
        not_before: int = 0,
    ) -> None:
        self.number = number
        self._stream = stream
        self.start = max(start, not_before)
        self.segmenter = Segmenter(
            start,
            threshold=threshold,
            longest_s=checkpoint.segment_s,
            longest_pause_s=checkpoint.longest_pause_s,
            not_before=not_before,
        )
        self._detects = options.language is None and len(checkpoint.languages) != 1
        self._engine = engine
        self._options = options
        self._on_partial = on_partial
        self._closed: list[_Closed] = []
        self._agreement = Agreement()
        self._partial: asyncio.Task[None] | None = None
        self._partial_position = start
        self._last_partial_at = time.monotonic()
        self._rest_until = 0.0
        self._has_shown = False
        self._ahead: _Closed | None = None  # the segment that will be the last if the present pause ends the utterance

    @property
    def end(self) -> int:
        """The end of the utterance's audio so far, in samples since the start of the stream."""
        return self.segmenter.position

    @property
    def audio_ms(self) -> float:
        return 1000 * (self.end - self.start) / SAMPLE_RATE

    @property
    def _awaits_first_word(self) -> bool:
        """Whether the utterance has no words yet, but is so short that words are still likely.

        Longer audio without a word is probably music.
        """
        return not self._has_shown and self.audio_ms < FIRST_PARTIAL_WITHIN_MS

    def feed(self, frame: Samples, probability: float) -> None:
        """Process the next frame, and start recognising the segments that it completes.

        ``frame``: float32 (``FRAME``,) at 16 kHz.
        ``probability``: probability that the frame is speech.
        """
        self._recognise(self.segmenter.feed(frame, probability))
        self._recognise_ahead()

    def begin_afresh(self, position: int) -> None:
        """Continue with a new segment at ``position``, where sound begins after digital silence."""
        self._recognise(self.segmenter.begin_afresh(position))

    def complete(self) -> int:
        """End the last segment and start recognising it. Return its end, in samples since the start of the stream.

        If the utterance has no segment, return the utterance's start.
        """
        self._cancel_partial()
        self._recognise(self.segmenter.flush())
        self._drop_ahead()
        return self._closed[-1].piece.segment.end if self._closed else self.start

    def abandon(self) -> None:
        """Cancel all recognition that is still running."""
        self._cancel_partial()
        self._drop_ahead()
        for closed in self._closed:
            _drop(closed.task)

    async def recognised(self) -> None:
        """Wait until the engine has recognised all segments. Raise the engine's errors."""
        await asyncio.gather(*(closed.task for closed in self._closed))

    async def result(self, decided: list[Evidence], before: str, length: int) -> UtteranceResult:
        """Return the final text of the utterance. Call this after ``recognised``.

        ``decided``: evidence for the languages in the stream so far. The evidence of this utterance is appended.
        ``before``: text of the segment before this utterance.
        ``length``: length of the stream so far, in samples; times in the result are limited to it.
        """
        parts = [part for closed in self._closed for part in closed.task.result()]
        settled = [await self._settled(parts[index:], decided) for index in range(len(parts))]
        kept = [
            part.within(length, self.start)
            for part in hallucinations.remove_invented(settled, self._audio, self._options, before)
        ]
        return UtteranceResult(
            text=join(part.text for part in kept),
            words=tuple(word for part in kept for word in part.words),
            tokens=tuple(token for part in kept for token in part.hypothesis.tokens),
            # After digital silence, the padding of the first segment may begin before the utterance.
            start=max(self.start, kept[0].segment.start) if kept else self.start,
            end=kept[-1].segment.end if kept else min(length, self.segmenter.position),
            language=kept[0].hypothesis.language if kept else self._options.language or "",
            queued_ms=sum(part.hypothesis.queued_ms for part in parts),
            last_text=kept[-1].text if kept else before,
        )

    def _audio(self, start: int, end: int) -> Samples:
        piece = next(closed.piece for closed in self._closed if closed.piece.segment.end >= end)
        return piece.samples(start, end)

    async def _settled(self, parts: list[Part], decided: list[Evidence]) -> Part:
        """Return the first of ``parts`` in its final language.

        The language is chosen by the same rules as for an uploaded recording. If it is not the language in which the
        part was recognised, recognise the part again. If the request names a language, return the part unchanged.

        ``parts``: this part and those after it.
        ``decided``: evidence for the languages of the earlier parts. Unless the request names a language, the evidence
        of this part is appended.
        """
        part, *following = parts
        if not self._detects:
            return part
        own = Evidence.of(part)
        language = choose(own, [*decided, *map(Evidence.of, following[:FOLLOWING])])
        decided.append(own)
        if language == part.hypothesis.language:
            return part
        audio = self._audio(part.segment.start, part.segment.end)
        unit = self._unit(audio, replace(self._options, language=language))
        again = await recognise_without_echo(self._engine, part.segment, self._audio, unit)
        return Part(part.segment, replace(again, languages=part.hypothesis.languages))

    def start_partial(self) -> None:
        """Start recognising the open segment for a partial result, if one is due.

        If the result would have to wait, do this only if there has been no partial result for ``OVERDUE_S``, and give
        it the priority of a final result. While the engine is busy, do it only if there has been none for
        ``BUSY_OVERDUE_S``.
        """
        now = time.monotonic()
        is_first = self._awaits_first_word
        every_ms = PARTIAL_EVERY_MS / 2 if is_first else PARTIAL_EVERY_MS
        due = self.segmenter.position - self._partial_position >= every_ms * SAMPLE_RATE / 1000
        if is_first:
            due = due and self.segmenter.open_speech_s >= FIRST_PARTIAL_SPEECH_S
        if not due or self._partial is not None or self._ahead is not None or now < self._rest_until:
            return
        stats = self._engine.stats()
        is_busy = should_spare(stats)
        must_wait = is_busy or stats.estimated_wait_s > BUSY_S
        if must_wait and not self._is_overdue(now, is_busy=is_busy):
            return
        audio = self.segmenter.open_audio
        if audio is None:
            return
        self._partial_position = self.segmenter.position
        self._partial = asyncio.create_task(
            self._recognise_partial(
                audio, self.segmenter.open_speech_s, has_priority=must_wait, competed=competes(stats)
            )
        )

    def _is_overdue(self, now: float, *, is_busy: bool) -> bool:
        if is_busy:
            return now - self._last_partial_at > BUSY_OVERDUE_S
        return now - max(self._last_partial_at, self._rest_until) > OVERDUE_S  # without the pause

    async def _recognise_partial(self, audio: Samples, speech_s: float, *, has_priority: bool, competed: bool) -> None:
        closed = list(self._closed)
        began = time.monotonic()
        waited_ms = 0.0
        # A partial result is soon replaced, so it is decoded once and greedily. Only final results have timed words.
        options = replace(
            self._known(),
            temperatures=self._options.temperatures[:1],
            greedy=True,
            words=False,
            logprobs=False,
            timestamps=False,
        )
        deadline = began + PARTIAL_DEADLINE_S
        unit = SpeechUnit(
            audio=audio,
            options=options,
            stream=self._stream,
            deadline=deadline,
            live=has_priority,
            admitted=has_priority,
        )
        try:
            found = await self._engine.submit(unit)
            waited_ms = found.queued_ms
            hypothesis = hallucinations.checked(found, audio=audio, speech_s=speech_s)
            for segment in closed:  # the final texts of the segments before the open one
                await asyncio.shield(segment.task)
            certain = [part.text for segment in closed for part in segment.kept(options)]
        except InferenceError:
            waited_ms = 1000 * PARTIAL_DEADLINE_S
            return  # the engine is too busy, or the final result will report the error
        except Exception as error:  # a failed partial result must not end the stream
            logger.error("a partial could not be recognised", exc_info=without_messages(error))
            waited_ms = 1000 * PARTIAL_DEADLINE_S  # as long a pause as after a refusal
            return
        finally:
            if self._partial is asyncio.current_task():  # else it was cancelled, and a later one may have started
                self._partial = None
            now = time.monotonic()
            if competed or waited_ms > WAITED_MS:
                took_s = max(now - began, waited_ms / 1000)  # a refusal takes no time
                self._rest_until = now + min(MAX_BUSY_PARTIAL_BACKOFF_S, BUSY_PARTIAL_BACKOFF * took_s)
            elif not self._awaits_first_word:
                self._rest_until = now + min(MAX_PARTIAL_BACKOFF_S, PARTIAL_BACKOFF * (now - began))
        self._last_partial_at = now  # only now, because a result that expired or was cancelled has shown nothing
        language = hypothesis.language if hypothesis else self._options.language or ""
        self._show(certain, [hypothesis.text] if hypothesis else [], language)

    def _show(self, certain: list[str], open_text: list[str], language: str) -> None:
        glue = "" if language in _UNSPACED else " "
        words = _split("".join(f"{text}{glue}" for text in [*certain, *open_text]), language)
        count = len(_split("".join(f"{text}{glue}" for text in certain), language))
        shown = self._agreement.update(words, certain=count)
        if shown:
            self._has_shown = True
            stable = self._agreement.stable
            self._on_partial(self, glue.join(shown), glue.join(stable))

    def _recognise(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if self._partial is not None:
                self._cancel_partial()  # the partial result would show this segment, which is complete now
            if self._ahead is not None and self._ahead.piece.segment == piece.segment:
                self._closed.append(self._ahead)
                self._ahead = None
            else:
                self._closed.append(_Closed(piece, asyncio.create_task(self._recognised(piece))))

    def _recognise_ahead(self) -> None:
        """During a pause, recognise the segment that will be the last one if the pause ends the utterance.

        If it does, the text is ready sooner. Do this only while the engine is idle.
        """
        piece = self.segmenter.last_piece
        if self._ahead is not None and (piece is None or piece.segment != self._ahead.piece.segment):
            self._drop_ahead()
        if piece is None or self._ahead is not None:
            return
        stats = self._engine.stats()
        if stats.queue_length == 0 and stats.running <= (self._partial is not None):
            self._cancel_partial()
            self._ahead = _Closed(piece, asyncio.create_task(self._recognised(piece)))

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            _drop(self._ahead.task)
            self._ahead = None

    async def _recognised(self, piece: Piece) -> list[Part]:
        unit = self._unit(piece.audio, self._options)
        return await recognise(self._engine, piece.segment, self._options, piece.samples, unit)

    def _unit(self, audio: Samples, options: Options) -> SpeechUnit:
        deadline = time.monotonic() + FINAL_DEADLINE_S
        # The unit was admitted with its stream, so it waits instead of being refused.
        return SpeechUnit(
            audio=audio, options=options, stream=self._stream, deadline=deadline, live=True, admitted=True
        )

    def _known(self) -> Options:
        """Return the options. If they name no language, add the language of the latest recognised segment."""
        if self._options.language is None:
            for closed in reversed(self._closed):
                task = closed.task
                if task.done() and not task.cancelled() and task.exception() is None and task.result():
                    return replace(self._options, language=task.result()[-1].hypothesis.language)
        return self._options

    def _cancel_partial(self) -> None:
        partial = self._partial
        self._partial = None
        if partial is not None:
            partial.cancel()


def _drop(task: asyncio.Task[list[Part]]) -> None:
    if not task.cancel() and not task.cancelled():
        task.exception()  # retrieve the exception, so that asyncio does not log it


def _split(text: str, language: str) -> list[str]:
    """Split the text into words, or into characters if the language has no spaces between words."""
    return list(text) if language in _UNSPACED else text.split()
