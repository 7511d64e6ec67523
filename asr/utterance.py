"""One stretch of live speech on its way to its words: segments recognised as they close, guesses at the open one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from asr import guard
from asr.agreement import Agreement
from asr.checkpoint import Checkpoint
from asr.recognition import Recogniser
from asr.segmenting import Piece, Segmenter
from asr.transcript import join
from asr.units import SAMPLE_RATE, Hypothesis, Options, Samples, SpeechUnit, Word
from asr.voice_activity import Segment
from inference.errors import InferenceError

PARTIAL_EVERY_MS = 400  # of new audio at least between two guesses
BUSY_S = 0.25  # no guess when it would wait longer than this
BREATHER = 8  # times as long as a guess took, until the next: where all is slow, partials give way first
PARTIAL_DEADLINE_S = 1.0  # nobody wants to see a guess at what was said longer ago
FINAL_DEADLINE_S = 30.0
_UNSPACED = ("zh", "yue", "ja")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """``start``, ``end``: of the speech, in samples of the stream's clock."""

    text: str
    words: tuple[Word, ...]
    start: int
    end: int
    language: str
    queued_ms: float


@dataclass
class _Closed:
    """A segment that is complete; ``found`` is None where nothing was said after all."""

    segment: Segment
    task: asyncio.Task[Hypothesis]

    def found(self) -> Hypothesis | None:
        return guard.checked(self.task.result(), speech_s=self.segment.speech_s)


class Utterance:
    """``tell(utterance, text, stable)`` is called with each partial."""

    def __init__(
        self,
        number: int,
        start: int,
        engine: Recogniser,
        checkpoint: Checkpoint,
        options: Options,
        tell: Callable[[Utterance, str, str], None],
        *,
        threshold: float,
    ) -> None:
        self.number, self.start = number, start
        self.segmenter = Segmenter(
            start,
            threshold=threshold,
            longest_s=checkpoint.segment_s,
            longest_pause_s=checkpoint.longest_pause_s,
        )
        self._engine, self._options, self._tell = engine, options, tell
        self._closed: list[_Closed] = []
        self._agreement = Agreement()
        self._guess: asyncio.Task[None] | None = None
        self._guessed_at = start
        self._rest_until = 0.0

    @property
    def audio_ms(self) -> float:
        return 1000 * (self.segmenter.position - self.start) / SAMPLE_RATE

    def feed(self, frame: Samples, probability: float) -> None:
        self._recognise(self.segmenter.feed(frame, probability))

    def complete(self) -> None:
        """Nothing more will be said."""
        self._stop_guessing()
        self._recognise(self.segmenter.flush())

    def abandon(self) -> None:
        """What is still under way is not wanted."""
        self._stop_guessing()
        for closed in self._closed:
            if not closed.task.cancel() and not closed.task.cancelled():
                closed.task.exception()  # seen, if there was one

    async def heard(self) -> Heard:
        """All words. Raises what the engine raises."""
        await asyncio.gather(*(closed.task for closed in self._closed))
        found = [(closed.segment, hypothesis) for closed in self._closed if (hypothesis := closed.found())]
        language = found[0][1].language if found else self._options.language or ""
        return Heard(
            text=join(hypothesis.text for _, hypothesis in found),
            words=tuple(word.shifted(segment.start_s) for segment, hypothesis in found for word in hypothesis.words),
            start=found[0][0].start if found else self.start,
            end=found[-1][0].end if found else self.segmenter.position,
            language=language,
            queued_ms=sum(closed.task.result().queued_ms for closed in self._closed),
        )

    def guess(self) -> None:
        """Start recognising what is open, if that is due and the engine has the time."""
        due = self.segmenter.position - self._guessed_at >= PARTIAL_EVERY_MS * SAMPLE_RATE // 1000
        if not due or self._guess is not None or time.monotonic() < self._rest_until:
            return
        if self._engine.stats().estimated_wait_s > BUSY_S:
            return
        audio = self.segmenter.open_audio
        if audio is None:
            return
        self._guessed_at = self.segmenter.position
        speech_s = self.segmenter.open_speech_s
        self._guess = asyncio.create_task(self._guess_at(audio, speech_s))

    async def _guess_at(self, audio: Samples, speech_s: float) -> None:
        closed, began = list(self._closed), time.monotonic()
        # Greedy, once: a guess is soon replaced. Words are timed in the final only.
        options = replace(self._known(), temperatures=self._options.temperatures[:1], words=False)
        unit = SpeechUnit(audio=audio, options=options, deadline=began + PARTIAL_DEADLINE_S)
        try:
            hypothesis = guard.checked(await self._engine.submit(unit), speech_s=speech_s)
            for segment in closed:  # what comes before it is being recognised for good
                await asyncio.shield(segment.task)
            certain = [found.text for segment in closed if (found := segment.found())]
        except InferenceError:
            return  # too busy, or the final will tell
        except Exception:  # a guess is a courtesy: it must not end anything
            logger.exception("a partial could not be recognised")
            return
        finally:
            self._guess = None
            now = time.monotonic()
            self._rest_until = now + BREATHER * (now - began)
        open_text = [hypothesis.text] if hypothesis else []
        language = hypothesis.language if hypothesis else self._options.language or ""
        self._show(certain, open_text, language)

    def _show(self, certain: list[str], open_text: list[str], language: str) -> None:
        glue = "" if language in _UNSPACED else " "
        words = _split("".join(f"{text}{glue}" for text in [*certain, *open_text]), language)
        count = len(_split("".join(f"{text}{glue}" for text in certain), language))
        shown = self._agreement.update(words, certain=count)
        if shown:
            stable = self._agreement.stable
            self._tell(self, glue.join(shown), glue.join(stable))

    def _recognise(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if self._guess is not None:
                self._stop_guessing()  # it was a guess at this
            unit = SpeechUnit(
                audio=piece.audio,
                options=self._known(),
                deadline=time.monotonic() + FINAL_DEADLINE_S,
                live=True,
                admitted=True,  # with the stream: it waits instead of being refused
            )
            self._closed.append(_Closed(piece.segment, asyncio.create_task(self._submit(unit))))

    async def _submit(self, unit: SpeechUnit) -> Hypothesis:
        return await self._engine.submit(unit)

    def _known(self) -> Options:
        """The options, with the language of the utterance's first segment once that is known."""
        if self._options.language is None:
            for closed in self._closed[:1]:
                task = closed.task
                if task.done() and not task.cancelled() and task.exception() is None:
                    return replace(self._options, language=task.result().language)
        return self._options

    def _stop_guessing(self) -> None:
        guess, self._guess = self._guess, None
        if guess is not None:
            guess.cancel()


def _split(text: str, language: str) -> list[str]:
    """Into what can be stable by itself: words, or characters where words are not spaced."""
    return list(text) if language in _UNSPACED else text.split()
