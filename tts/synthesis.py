"""Turn text into audio: sentences are made speakable, spoken ahead of the listener, and put together in order.

While the first sentence is sent, the next ones are being spoken. An engine can therefore batch them with each other and
with those of other requests.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from inference.ordered import in_order
from inference.pool import in_ahead_pool, in_pool
from spoken_text.language import detect_language
from spoken_text.sentences import split_pieces
from spoken_text.speakable import speakable
from tts.encoding import SAMPLE_RATE, Samples
from tts.first_clause import first_parts, in_pieces, length
from tts.loudness import level, trim
from tts.reply_voice import LATIN, ReplyVoice
from tts.tempo import retime
from tts.units import Speech, SpeechUnit, speech_cost
from tts.voices import Voice

LOOK_AHEAD = 8  # sentences of one speech in the engine at once, so that no request fills the queue alone

LETTERS_PER_S = 14.0  # of speech, roughly
PART_PAUSE_MS = 60  # between the parts of a first sentence that was cut so that sound starts soon
CLAUSE_PAUSE_MS = 90  # between the parts of a sentence that was too long for one unit
SENTENCE_PAUSE_MS = 280
PARAGRAPH_PAUSE_MS = 550


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a part of one, to speak.

    ``text``: speakable text.
    ``pause_ms``: silence before it at speed 1.
    """

    text: str
    pause_ms: int
    language: str = "ms"


def sentence_language(text: str, language: str, *, is_given: bool = False) -> str:
    """Return the language of one raw sentence, or ``language`` if the sentence does not show it.

    If the caller has given the language (``is_given``), it changes only for a sentence in another script.
    """
    found = detect_language(text, language)
    return language if is_given and found in LATIN else found


def sentences_of(text: str, language: str, *, is_given: bool = False) -> list[Sentence]:
    """Return the sentences to speak for a raw text, in order; empty if nothing in it can be said.

    ``is_given``: see ``sentence_language``.
    """
    sentences: list[Sentence] = []
    position = pause_ms = 0
    for piece in split_pieces(text):
        start = text.find(piece.text, position)
        if start >= 0:
            if "\n\n" in text[position:start].replace("\r", ""):
                pause_ms = PARAGRAPH_PAUSE_MS
            position = start + len(piece.text)
        if spoken := speakable(piece.text, language, letters=True):
            of_sentence = sentence_language(piece.text, language, is_given=is_given)
            for part in in_pieces(spoken):
                sentences.append(Sentence(part, pause_ms, of_sentence))
                pause_ms = CLAUSE_PAUSE_MS
            pause_ms = 0
        pause_ms = max(pause_ms, SENTENCE_PAUSE_MS if piece.ends else CLAUSE_PAUSE_MS)
    return sentences


def in_parts(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Return the sentences with the first one cut into short parts (``tts.first_clause``)."""
    first, *others = sentences
    head, *tail = first_parts(first.text)
    parts = [replace(first, text=text, pause_ms=PART_PAUSE_MS) for text in tail]
    return [replace(first, text=head), *parts, *others]


class Synthesis:
    """A speech that is being made."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        voice: Voice,
        *,
        follows_text: bool = False,
        speed: float = 1.0,
        deadline: float | None = None,
        live: bool = False,
        soon: bool = False,
        whole: bool = False,
    ) -> None:
        """Choose the voice, and cut the first sentence if sound is wanted soon.

        ``soon``: sound is wanted before the first sentence is complete.
        ``whole``: the listener waits for the whole speech, not just for its first sentence.
        """
        self.whole = whole
        self.samples = 0  # given so far, at ``SAMPLE_RATE``
        self.sentences_given = 0
        self.queue_ms = 0  # how long the first sentence waited in the queue
        self.voice = ReplyVoice(voice, follows_text=follows_text)
        parts = in_parts(sentences) if soon else list(sentences)
        awaited = parts if whole else parts[: len(parts) - len(sentences) + 1]
        self.voice.begin(sum(speech_cost(part.text) for part in awaited))
        self.sentences = parts if self.voice.is_neural else list(sentences)
        self._speed = speed
        self._deadline = deadline
        self._live = live

    @property
    def audio_ms(self) -> int:
        return round(self.samples * 1000 / SAMPLE_RATE)

    @property
    def share_given(self) -> float:
        """The share of the text spoken so far, from 0 to 1."""
        total = sum(len(sentence.text) for sentence in self.sentences)
        given = sum(len(sentence.text) for sentence in self.sentences[: self.sentences_given])
        return given / total if total else 1.0

    async def chunks(self) -> AsyncGenerator[Samples, None]:
        """Yield the sentences' audio in order, each with the pause before it.

        It is int16 mono at ``SAMPLE_RATE``, shape (n,). Closing the iterator drops what has not been spoken yet. Raises
        the engine's errors.
        """
        spoken = in_order(self._units(), self._speak, ahead=LOOK_AHEAD)
        async with aclosing(spoken):
            index = 0
            async for samples in spoken:
                if self.samples and len(samples):
                    samples = np.concatenate([self._pause(self.sentences[index].pause_ms), samples])
                index += 1
                self.sentences_given = index
                if len(samples):
                    self.samples += len(samples)
                    yield samples

    async def _units(self) -> AsyncIterator[SpeechUnit]:
        began = time.monotonic()
        before_s = 0.0
        for index, sentence in enumerate(self.sentences):
            slack_s = max(0.0, before_s / self._speed - (time.monotonic() - began))
            before_s += length(sentence.text) / LETTERS_PER_S
            yield self.voice.unit(
                text=sentence.text,
                speed=self._speed,
                language=sentence.language,
                deadline=self._deadline,
                live=self._live,
                slack_s=0.0 if self.whole else slack_s,
                admitted=index > 0,  # only the first can be refused: no speech breaks off because of later requests
            )

    async def _speak(self, unit: SpeechUnit) -> Samples:
        speech = await self.voice.speak(unit)
        if not unit.admitted:
            self.queue_ms = round(unit.queued_ms)
        return await (in_ahead_pool if unit.slack_s else in_pool)(finish, speech)

    def _pause(self, milliseconds: int) -> Samples:
        return np.zeros(int(SAMPLE_RATE * milliseconds / 1000 / self._speed), np.int16)


def finish(speech: Speech) -> Samples:
    """Trim an engine's speech, apply the rest of the requested speed, and bring it to the loudness of all voices.

    Returns int16 mono at ``SAMPLE_RATE``, shape (n,).
    """
    audio = trim(speech.audio, speech.sample_rate)
    audio = retime(audio, speech.sample_rate, tempo=speech.tempo, to_rate=SAMPLE_RATE)
    return np.round(level(audio, SAMPLE_RATE) * 32767).clip(-32768, 32767).astype(np.int16)
