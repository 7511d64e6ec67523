"""Turn text into audio: make the sentences speakable, synthesise several at once, and yield their audio in order.

While one sentence is being sent, the next ones are already being synthesised. An engine can therefore batch them with
each other and with sentences of other requests.
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

LOOK_AHEAD = 8  # maximum sentences of one reply in the engine at once, so that no request fills the queue alone

LETTERS_PER_S = 14.0  # rough speaking rate
PART_PAUSE_MS = 60  # between the parts of a first sentence that was cut so that playback starts soon
CLAUSE_PAUSE_MS = 90  # between the parts of a sentence that was too long for one unit
SENTENCE_PAUSE_MS = 280
PARAGRAPH_PAUSE_MS = 550
SILENCE_S = 0.2  # the audio for a text without words, because players reject an empty file


@dataclass(frozen=True)
class Sentence:
    """A sentence or part of a sentence to speak.

    ``text``: speakable text.
    ``pause_ms``: milliseconds of silence before it, at speed 1.
    """

    text: str
    pause_ms: int
    language: str = "ms"


def sentence_language(text: str, language: str, *, is_given: bool = False) -> str:
    """Return the language of one raw sentence.

    ``language``: language of the reply, which is returned if the sentence could be in several languages.
    ``is_given``: whether the client has set ``language``. If so, it applies to all sentences in Latin script.
    """
    found = detect_language(text, language)
    return language if is_given and found in LATIN else found


def sentences_of(text: str, language: str, *, is_given: bool = False) -> list[Sentence]:
    """Split a raw text into sentences to speak. The list is empty if nothing in the text can be said.

    ``language``, ``is_given``: see ``sentence_language``.
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
    """Cut the first sentence into short parts (``tts.first_clause``). Return the parts and all other sentences.

    ``sentences``: at least one.
    """
    first, *others = sentences
    head, *tail = first_parts(first.text)
    parts = [replace(first, text=text, pause_ms=PART_PAUSE_MS) for text in tail]
    return [replace(first, text=head), *parts, *others]


class Synthesis:
    """Makes the audio of one reply. Call ``chunks`` once to make it."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        voice: Voice,
        *,
        follows_text: bool = False,
        speed: float = 1.0,
        deadline: float | None = None,
        live: bool = False,
        starts_early: bool = False,
        is_awaited_whole: bool = False,
    ) -> None:
        """Choose the engine. If it is the neural engine and ``starts_early`` is set, cut the first sentence into parts.

        ``voice``: the requested voice.
        ``follows_text``: whether the voice may change with the language (see ``sentence_voice``).
        ``deadline``: when the audio is no longer needed, in ``time.monotonic()`` seconds; None means never.
        ``starts_early``: whether playback should start before the whole first sentence has been spoken.
        ``is_awaited_whole``: whether the listener waits for the whole reply, not just for its first sentence.
        """
        self.is_awaited_whole = is_awaited_whole
        self.samples = 0  # the number of samples yielded so far, at ``SAMPLE_RATE``
        self.sentences_given = 0
        self.queue_ms = 0  # the first sentence's wait in the engine's queue
        self.voice = ReplyVoice(voice, follows_text=follows_text)
        parts = in_parts(sentences) if starts_early else list(sentences)
        awaited = parts if is_awaited_whole else parts[: len(parts) - len(sentences) + 1]
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
        """The fraction of the text that has been spoken so far, from 0 to 1."""
        total = sum(len(sentence.text) for sentence in self.sentences)
        given = sum(len(sentence.text) for sentence in self.sentences[: self.sentences_given])
        return given / total if total else 1.0

    async def chunks(self) -> AsyncGenerator[Samples, None]:
        """Yield the audio of each sentence in order, with the pause before it.

        Each item is int16 mono at ``SAMPLE_RATE``, shape (n,). Closing the iterator drops the sentences that have not
        been spoken yet. Errors of the engine propagate.
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
                slack_s=0.0 if self.is_awaited_whole else slack_s,
                admitted=index > 0,  # under load only the first sentence can be refused, so that no reply is cut off
            )

    async def _speak(self, unit: SpeechUnit) -> Samples:
        speech = await self.voice.speak(unit)
        if not unit.admitted:
            self.queue_ms = round(unit.queued_ms)
        return await (in_ahead_pool if unit.slack_s else in_pool)(finish, speech)

    def _pause(self, milliseconds: int) -> Samples:
        return np.zeros(int(SAMPLE_RATE * milliseconds / 1000 / self._speed), np.int16)


def finish(speech: Speech) -> Samples:
    """Finish an engine's audio: trim the silence, change the tempo by ``speech.tempo``, resample and set the loudness.

    Return int16 mono at ``SAMPLE_RATE``, shape (n,).
    """
    audio = trim(speech.audio, speech.sample_rate)
    audio = retime(audio, speech.sample_rate, tempo=speech.tempo, to_rate=SAMPLE_RATE)
    return np.round(level(audio, SAMPLE_RATE) * 32767).clip(-32768, 32767).astype(np.int16)


def silence() -> Samples:
    """Return the audio for a text without words, such as emoji: int16 mono at ``SAMPLE_RATE``."""
    return np.zeros(round(SILENCE_S * SAMPLE_RATE), np.int16)
