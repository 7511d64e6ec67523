"""Make the audio file for a request: from the cache, as a whole, or streamed sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from inference.pool import in_ahead_pool, in_pool
from tts.brownout import Reason
from tts.cache import FinishedSpeech, cache_key, speech_cache
from tts.encoding import AudioFormat, encode, stream_encoder, with_length
from tts.synthesis import Synthesis, sentences_of, silence
from tts.units import WHOLE_UP_TO_CHARACTERS
from tts.voices import Voice, primary

WITH_LENGTH = (AudioFormat.WAV, AudioFormat.FLAC)


@dataclass(frozen=True)
class SpeechRequest:
    """A request for speech.

    ``text``: raw text.
    ``language``: language of the text; None means that it is detected for each sentence.
    ``deadline``: when the audio is no longer needed, in ``time.monotonic()`` seconds; None means never.
    ``follows_text``: whether the voice may change with the language of a sentence (see ``sentence_voice``).
    """

    text: str
    voice: Voice
    audio_format: AudioFormat = AudioFormat.MP3
    speed: float = 1.0
    language: str | None = None
    deadline: float | None = None
    follows_text: bool = False

    @property
    def spoken_language(self) -> str:
        return primary(self.language or self.voice.language)

    @property
    def is_awaited_whole(self) -> bool:
        """True if the text is so short that clients usually wait for the whole file before they play it."""
        return len(self.text) <= WHOLE_UP_TO_CHARACTERS

    @property
    def is_made_whole(self) -> bool:
        """True if nothing is sent before the file is complete, because the header of the file states the length."""
        return self.is_awaited_whole and self.audio_format in WITH_LENGTH

    @property
    def key(self) -> str:
        return cache_key(
            self.text,
            voice=self.voice.id,
            language=f"{self.language or ''} {self.follows_text}",
            speed=self.speed,
            audio_format=self.audio_format,
        )


@dataclass
class SpeechFile:
    """The audio file for one request. It is either complete or made while ``body`` is read.

    ``finished``: the complete file, or None.
    ``synthesis``: makes the audio while ``body`` is read; None if the file was complete from the start.
    """

    request: SpeechRequest
    finished: FinishedSpeech | None = None
    synthesis: Synthesis | None = None

    @property
    def audio_ms(self) -> int:
        if self.finished is not None:
            return self.finished.audio_ms
        return self.synthesis.audio_ms if self.synthesis else 0

    @property
    def characters(self) -> int:
        """The number of characters of the text that have been spoken so far."""
        share = 1.0 if self.finished is not None or self.synthesis is None else self.synthesis.share_given
        return math.ceil(len(self.request.text) * share)

    @property
    def queue_ms(self) -> int:
        return self.synthesis.queue_ms if self.synthesis else 0

    @property
    def degraded(self) -> Reason | None:
        """The reason why eSpeak NG speaks instead of the requested voice, or None if it does not."""
        return self.synthesis.voice.degraded if self.synthesis else None

    @property
    def fallback_voice(self) -> Voice | None:
        """The first eSpeak NG voice that has spoken instead of the requested voice, or None."""
        return self.synthesis.voice.fallback_voice if self.synthesis else None

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Yield the file in pieces. The first is ready when the first sentence, or its first part, has been spoken.

        Errors of the engine propagate.
        """
        if self.finished is not None:
            yield self.finished.data
        elif self.synthesis is not None:
            async with aclosing(self._stream(self.synthesis)) as stream:
                async for data in stream:
                    yield data

    async def _stream(self, synthesis: Synthesis) -> AsyncGenerator[bytes, None]:
        encoder = stream_encoder(self.request.audio_format)
        cache = speech_cache()
        kept: list[bytes] | None = [] if cache.max_bytes else None
        size = 0
        async with aclosing(synthesis.chunks()) as chunks:
            async for samples in chunks:
                data = await (in_ahead_pool if size and not synthesis.is_awaited_whole else in_pool)(
                    encoder.feed, samples
                )
                size += len(data)
                kept = None if kept is None or size > cache.largest else [*kept, data]
                if data:
                    yield data
        nothing_said = b"" if synthesis.samples else await in_pool(encoder.feed, silence())
        tail = nothing_said + await in_pool(encoder.finish)
        if kept is not None and synthesis.samples:
            self._remember(with_length(b"".join([*kept, tail]), self.request.audio_format, synthesis.samples))
        if tail:
            yield tail

    @property
    def is_exempt_from_admission(self) -> bool:
        """True if admission control need not count this reply (see ``ReplyVoice.is_exempt_from_admission``)."""
        return self.synthesis is not None and self.synthesis.voice.is_exempt_from_admission

    async def make_if_short(self) -> None:
        """Make the whole file now if it would be sent in one piece anyway. Errors of the engine propagate."""
        synthesis = self.synthesis
        if synthesis is None or not (self.request.is_made_whole or len(synthesis.sentences) == 1):
            return
        async with aclosing(synthesis.chunks()) as chunks:
            parts = [samples async for samples in chunks]
        data = await in_pool(encode, np.concatenate(parts or [silence()]), self.request.audio_format)
        self.finished = self._remember(data) if parts else FinishedSpeech(data, 0)

    def _remember(self, data: bytes) -> FinishedSpeech:
        speech = FinishedSpeech(data, self.audio_ms)
        if not self.degraded:  # never cache the fallback voice, because the next request may get the requested one
            speech_cache().put(self.request.key, speech)
        return speech


async def speech_file(request: SpeechRequest) -> SpeechFile:
    """Return the audio file for a request.

    A short or cached file is complete. A longer file is made while ``body`` is read. Errors of the engine propagate.
    """
    file = await planned_file(request)
    await file.make_if_short()
    return file


async def planned_file(request: SpeechRequest) -> SpeechFile:
    """Prepare the audio file for a request: split the text into sentences, but do not speak them yet.

    The returned file is already complete if it was in the cache, or if the text contains nothing to say.
    """
    cached = speech_cache().get(request.key)
    if cached is not None:
        return SpeechFile(request, finished=cached)
    sentences = await in_pool(
        sentences_of, request.text, request.spoken_language, is_given=request.language is not None
    )
    if not sentences:
        data = await in_pool(encode, silence(), request.audio_format)
        return SpeechFile(request, finished=FinishedSpeech(data, 0))
    synthesis = Synthesis(
        sentences,
        request.voice,
        follows_text=request.follows_text,
        speed=request.speed,
        deadline=request.deadline,
        starts_early=not request.is_made_whole,
        is_awaited_whole=request.is_awaited_whole,
    )
    return SpeechFile(request, synthesis=synthesis)
