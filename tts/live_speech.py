"""Live speech: take text while a language model writes it, and send audio before the text is complete.

- Every ``LiveSpeech`` has one task, which submits complete sentences to the engine, a few of them ahead of playback.
- Audio is sent in small steps, about ``LEAD_S`` ahead of playback. So after a cancel, little audio is left to play.
- Everything runs on one event loop. The module does not depend on WebSockets.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from django.utils.translation import gettext as _

from inference.ordered import in_order
from inference.pool import in_pool
from spoken_text.sentences import SentenceStream
from spoken_text.speakable import speakable
from tts.brownout import Reason
from tts.encoding import SAMPLE_RATE, AudioFormat, Samples, stream_encoder
from tts.first_clause import first_parts, in_pieces
from tts.reply_voice import ReplyVoice
from tts.synthesis import LOOK_AHEAD, PART_PAUSE_MS, SENTENCE_PAUSE_MS, finish, sentence_language, silence
from tts.units import speech_cost
from tts.voices import Voice

STEP_S = 0.1  # duration of the audio in one message
LEAD_S = 0.4  # how far audio is sent ahead of playback, to bridge short gaps in the network
MAX_WAITING_CHARACTERS = 32_768  # text received but not spoken yet; about half an hour of speech
# Text received since the last complete sentence. A block of code counts as one sentence.
MAX_UNFINISHED_CHARACTERS = 65_536


class State(StrEnum):
    OPEN = "open"
    ENDING = "ending"
    ENDED = "ended"


class TooMuchText(ValueError):
    """The text that waits to be spoken, or the incomplete sentence, is longer than the limits allow."""


@dataclass(frozen=True)
class SentenceStarts:
    """Event: the audio of a sentence follows.

    ``index``: number of the sentence, from 0.
    ``text``: the sentence as it was received.
    ``start_ms``: position of the sentence in all audio sent on this connection.
    ``degraded``: why eSpeak NG speaks instead of the requested voice; None if it does not.
    ``waited_s``: how long the listener waited in silence, in seconds. The wait begins when the sentence is complete or
    when the previous audio has been played, whichever is later.
    """

    index: int
    text: str
    start_ms: int
    degraded: str | None = None
    waited_s: float = 0.0


@dataclass(frozen=True)
class Audio:
    """Event: the next bytes of audio, in the requested format."""

    data: bytes


@dataclass(frozen=True)
class Flushed:
    """Event: the audio of all text before the flush has been sent."""


@dataclass(frozen=True)
class Cancelled:
    """Event: no more audio follows for the text before the cancel.

    ``audio_ms``: duration of all audio sent so far.
    """

    audio_ms: int


@dataclass(frozen=True)
class Ended:
    """Event: all audio has been sent."""


Event = SentenceStarts | Audio | Flushed | Cancelled | Ended


@dataclass(frozen=True)
class _Mark:
    """A position in the text, and the event to send once the audio of all text before it has been sent."""

    event: Flushed | Ended


@dataclass(frozen=True)
class _Sentence:
    """A complete sentence that waits to be spoken.

    ``at``: when the sentence was complete, in ``time.monotonic()`` seconds.
    """

    text: str
    at: float


@dataclass(frozen=True)
class _Part:
    """A part of a sentence, spoken as one unit.

    ``sentence``: the sentence as it was received; "" in all parts but the first.
    ``spoken``: the speakable text of this part.
    ``language``: language of the sentence.
    ``reply``: the ``ReplyVoice`` that chooses the voice.
    ``at``: when the sentence was complete, in ``time.monotonic()`` seconds.
    """

    sentence: str
    spoken: str
    language: str
    reply: ReplyVoice
    at: float


@dataclass(frozen=True)
class _Spoken:
    text: str  # the sentence, or "" for all parts but its first
    samples: Samples
    at: float
    degraded: Reason | None = None


class LiveSpeech:
    """Speaks text while it arrives, for one connection.

    ``tell``: awaited with each event, in order.
    ``failed``: called if an error, usually from an engine, ends the speaking task.
    ``language``: the language to assume for a sentence that could be in several languages.
    ``language_is_given``: whether the client has set the language (see ``sentence_language``).
    ``follows_text``: whether the voice may change with the language (see ``sentence_voice``).
    """

    def __init__(
        self,
        voice: Voice,
        *,
        language: str,
        language_is_given: bool = False,
        follows_text: bool = False,
        tell: Callable[[Event], Awaitable[None]],
        failed: Callable[[Exception], None],
        speed: float = 1.0,
        audio_format: AudioFormat = AudioFormat.PCM,
    ) -> None:
        self.state = State.OPEN
        self.characters = 0  # to be billed: the characters of all sentences whose audio has started
        self.samples = 0  # the number of samples sent so far
        self.queue_ms = 0.0  # the first sentence's wait in the engine's queue
        self._voice = voice
        self._follows_text = follows_text
        self._speed = speed
        self._language = language
        self._language_is_given = language_is_given
        self._reply = self._new_reply()
        self._tell = tell
        self._failed = failed
        self._text = SentenceStream()
        self._waiting: asyncio.Queue[_Sentence | _Mark] = asyncio.Queue()
        self._waiting_characters = 0
        self._unfinished_characters = 0
        self._format = audio_format
        self._encoder = stream_encoder(audio_format)
        self._spoken_by: Counter[Voice] = Counter()  # samples spoken by each voice
        self._sentences = 0
        self._not_spoken: _Sentence | None = None  # the first sentence without words, such as emoji
        self._playback_ends_at = 0.0  # when playback of the audio sent so far ends, in time.monotonic() seconds
        self._speaking = asyncio.create_task(self._speak_all())

    @property
    def audio_ms(self) -> int:
        return round(1000 * self.samples / SAMPLE_RATE)

    @property
    def main_voice(self) -> Voice:
        """The voice that has spoken most so far: the requested voice, or the one that replaced it."""
        return max(self._spoken_by, key=lambda voice: self._spoken_by[voice], default=self._voice)

    @property
    def is_waiting(self) -> bool:
        """True if sentences wait to be spoken."""
        return self._waiting_characters > 0

    def push(self, text: str) -> None:
        """Add text, and speak every sentence that is now complete. The caller may split the text at any character.

        Raise ``TooMuchText`` if too much text waits to be spoken or the incomplete sentence is too long. Raise
        ``ValueError`` after ``end``.
        """
        self._must_be_open("text")
        self._unfinished_characters += len(text)
        too_many_wait = self._waiting_characters + len(text) > MAX_WAITING_CHARACTERS
        if too_many_wait or self._unfinished_characters > MAX_UNFINISHED_CHARACTERS:
            raise TooMuchText
        self._give(self._text.push(text))

    def flush(self) -> None:
        """Speak all text so far, even an incomplete sentence, then send ``Flushed``.

        Raise ``ValueError`` after ``end``.
        """
        self._must_be_open("flush")
        self._give(self._text.flush())
        self._waiting.put_nowait(_Mark(Flushed()))

    def end(self) -> None:
        """Speak all text, then send ``Ended``. Afterwards, ``push``, ``flush`` and ``end`` raise ``ValueError``."""
        self._must_be_open("end")
        self.state = State.ENDING
        self._give(self._text.flush())
        self._waiting.put_nowait(_Mark(Ended()))

    async def cancel(self) -> None:
        """Stop the audio at once and drop all text so far. Later text is spoken as usual.

        If ``end`` has been called, ``Ended`` follows ``Cancelled``. Later audio begins a new Opus stream, because the
        old encoder still holds the end of the cancelled audio.
        """
        ending = self.state is State.ENDING
        await self._stop()
        self._reply = self._new_reply()
        self._text = SentenceStream()
        self._encoder = stream_encoder(self._format)
        self._waiting = asyncio.Queue()
        self._waiting_characters = self._unfinished_characters = 0
        self._not_spoken = None
        self._playback_ends_at = 0.0
        await self._tell(Cancelled(self.audio_ms))
        self._speaking = asyncio.create_task(self._speak_all())
        if ending:
            self._waiting.put_nowait(_Mark(Ended()))

    async def ended(self) -> None:
        """Wait until the audio of all text and every event have been sent. Call ``end`` first."""
        await asyncio.wait([self._speaking])

    async def close(self) -> None:
        """Stop the audio and drop all text, without an event."""
        self.state = State.ENDED
        await self._stop()

    def _new_reply(self) -> ReplyVoice:
        return ReplyVoice(self._voice, follows_text=self._follows_text)

    def _must_be_open(self, what: str) -> None:
        if self.state is not State.OPEN:
            states = {State.OPEN: _("open"), State.ENDING: _("ending"), State.ENDED: _("ended")}
            message = _("{what} is not allowed now: the speech is {state}")
            raise ValueError(message.format(what=what, state=states[self.state]))

    def _give(self, sentences: list[str]) -> None:
        if sentences:
            self._unfinished_characters = 0
        for sentence in sentences:
            self._waiting_characters += len(sentence)
            self._waiting.put_nowait(_Sentence(sentence, time.monotonic()))

    async def _stop(self) -> None:
        self._speaking.cancel()
        await asyncio.wait([self._speaking])

    async def _speak_all(self) -> None:
        try:
            async with aclosing(in_order(self._taken(), self._spoken, ahead=LOOK_AHEAD)) as speech:
                async for spoken in speech:
                    if isinstance(spoken, _Spoken):
                        await self._send(spoken)
                        continue
                    if isinstance(spoken.event, Ended):
                        await self._end()
                        return
                    await self._tell(spoken.event)
        except Exception as error:  # noqa: BLE001 - the owner handles it
            self._failed(error)

    async def _taken(self) -> AsyncIterator[_Part | _Mark]:
        begins = True  # whether the next sentence is the first of a reply
        while True:
            item = await self._waiting.get()
            if isinstance(item, _Mark):
                yield item
                if isinstance(item.event, Ended):
                    return
                self._reply = self._new_reply()  # a flush ends a reply
                begins = True
                continue
            text = await in_pool(partial(speakable, letters=True), item.text, self._language)
            self._waiting_characters -= len(item.text)
            if not text:
                self._not_spoken = self._not_spoken or item
                continue
            language = sentence_language(item.text, self._language, is_given=self._language_is_given)
            parts = list(in_pieces(text))
            if begins and parts:
                soon = first_parts(parts[0])
                self._reply.begin(sum(map(speech_cost, soon)))
                parts = [*soon, *parts[1:]] if self._reply.is_neural else parts
            begins = False
            for index, part in enumerate(parts):
                yield _Part(item.text if index == 0 else "", part, language, self._reply, item.at)

    async def _spoken(self, item: _Part | _Mark) -> _Spoken | _Mark:
        if isinstance(item, _Mark):
            return item
        unit = item.reply.unit(text=item.spoken, language=item.language, speed=self._speed, live=True)
        speech = await item.reply.speak(unit)
        self.queue_ms = self.queue_ms or unit.queued_ms
        self._spoken_by[item.reply.fallback_voice or self._voice] += len(speech.audio)
        return _Spoken(item.sentence, await in_pool(finish, speech), item.at, item.reply.degraded)

    async def _send(self, spoken: _Spoken) -> None:
        if not len(spoken.samples):
            return
        waited_s = max(0.0, time.monotonic() - max(spoken.at, self._playback_ends_at))
        if self._sentences:
            pause_ms = SENTENCE_PAUSE_MS if spoken.text else PART_PAUSE_MS
            await self._send_samples(np.zeros(int(SAMPLE_RATE * pause_ms / 1000 / self._speed), np.int16))
        if not spoken.text:
            await self._send_samples(spoken.samples)
            return
        await self._tell(SentenceStarts(self._sentences, spoken.text, self.audio_ms, spoken.degraded, waited_s))
        self._sentences += 1
        self.characters += len(spoken.text)
        await self._send_samples(spoken.samples)

    async def _send_samples(self, samples: Samples) -> None:
        step = int(STEP_S * SAMPLE_RATE)
        for start in range(0, len(samples), step):
            part = samples[start : start + step]
            await self._pace(len(part) / SAMPLE_RATE)
            self.samples += len(part)
            if data := await self._encoded(self._encoder.feed, part):
                await self._tell(Audio(data))

    async def _encoded(self, step: Callable[..., bytes], *samples: Samples) -> bytes:
        return step(*samples) if self._format is AudioFormat.PCM else await in_pool(step, *samples)

    async def _pace(self, seconds: float) -> None:
        now = time.monotonic()
        ahead = self._playback_ends_at - now
        if ahead > LEAD_S:
            await asyncio.sleep(ahead - LEAD_S)
        self._playback_ends_at = max(self._playback_ends_at, now) + seconds

    async def _end(self) -> None:
        if self._not_spoken is not None and not self.samples:
            await self._send(_Spoken(self._not_spoken.text, silence(), time.monotonic()))  # nobody waited for it
        if tail := await self._encoded(self._encoder.finish):
            await self._tell(Audio(tail))
        self.state = State.ENDED
        await self._tell(Ended())
