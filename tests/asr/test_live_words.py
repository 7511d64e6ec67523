"""Live speech gets the same words as the same audio sent as a file, with Whisper base."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from asr.audio import decode
from asr.batching import BUSY_CALLERS
from asr.checkpoint import CONTEXTS_S, Checkpoint
from asr.decoding import Decoded, Recogniser
from asr.encoding import Prepared
from asr.endpointing import TurnDetection
from asr.requests import Dialogue
from asr.streaming import StreamingSession
from asr.streaming_events import Event, Final
from asr.transcript import join
from asr.transcription import Transcription
from asr.tuning import by_rule
from asr.units import FALLBACK_TEMPERATURES, Options, SpeechUnit
from asr.whisper_engine import WhisperEngine
from tests import sound

MALAY = sound.said("selamat pagi semua apa khabar hari ini saya mahu pergi ke pasar", rate=150)
ENGLISH = sound.said("please help me to change my password today", "en", rate=150)
SHORT = sound.said("terima kasih", rate=150)


def cut_off(audio: sound.Audio) -> sound.Audio:
    """Remove the silence at the end, and most of the silence at the beginning."""
    loud = np.flatnonzero(np.abs(audio) > 0.05)
    return audio[max(0, loud[0] - 1_000) : loud[-1]]


TALKS = {
    "one sentence": MALAY,
    "ends abruptly": cut_off(MALAY),
    "pauses of all lengths": sound.joined(
        [MALAY, SHORT, sound.silence(0.1), MALAY, sound.silence(0.6), SHORT, sound.silence(1.5), cut_off(MALAY)]
    ),
    "two languages": sound.joined([ENGLISH, sound.silence(0.5), MALAY, sound.silence(0.5), ENGLISH]),
}


@pytest.fixture(scope="module")
async def base(whisper_base: Path) -> AsyncIterator[WhisperEngine]:
    checkpoint = Checkpoint(str(whisper_base), "whisper-base", contexts_s=CONTEXTS_S, margin_s=2.0)
    engine = WhisperEngine(checkpoint, replace(by_rule(checkpoint, "cpu"), workers=2, threads=1))
    await engine.load()
    yield engine
    await engine.close()


def on_the_line(audio: sound.Audio) -> sound.Audio:
    """Return the audio after the same conversion to 16 bits that ``of_file`` applies."""
    recording = decode(sound.wav(audio), max_duration_s=120)
    return recording.float32(0, len(recording.samples))


async def of_file(engine: WhisperEngine, audio: sound.Audio, language: str | None) -> str:
    opened = await Transcription.open(sound.wav(audio), engine, engine.checkpoint, Options(language=language))
    return (await opened.whole()).text


async def live(
    engine: WhisperEngine,
    audio: sound.Audio,
    language: str | None,
    *,
    chunk: int = 640,
    detection: TurnDetection | None = TurnDetection(),  # noqa: B008
) -> str:
    events: list[Event] = []
    options = Options(language=language, words=True)
    stream = StreamingSession(engine, engine.checkpoint, events.append, options=options, detection=detection)
    for start in range(0, len(audio), chunk):
        await stream.append(audio[start : start + chunk])
        await asyncio.sleep(0)
    if detection is None:
        await stream.commit()
    await stream.finish()
    return join(event.text for event in events if isinstance(event, Final))


@pytest.mark.parametrize("name", TALKS)
async def test_live_words_equal_those_of_a_file(base: WhisperEngine, name: str) -> None:
    """The words are the same for three kinds of clients.

    The first client keeps its microphone open, the second stops sending right after the speech, and the third marks the
    end of the utterance itself.
    """
    audio = on_the_line(TALKS[name])
    language = None if name == "two languages" else "ms"
    words = await of_file(base, TALKS[name], language)
    assert len(words.split()) > 5
    assert await live(base, sound.joined([audio, sound.silence(2)]), language) == words
    assert await live(base, audio, language, chunk=16_000) == words
    assert await live(base, audio, language, chunk=320, detection=None) == words


async def test_simultaneous_streams_have_the_words_of_one(base: WhisperEngine) -> None:
    talk = TALKS["pauses of all lengths"]
    audio = sound.joined([on_the_line(talk), sound.silence(2)])
    alone = await of_file(base, talk, "ms")
    together = await asyncio.gather(
        *(live(base, audio, "ms", chunk=320 * (1 + number)) for number in range(BUSY_CALLERS - 1))
    )
    assert set(together) == {alone}


async def test_the_position_in_a_stream_does_not_change_the_words(base: WhisperEngine) -> None:
    talk = sound.joined([sound.noise(0.3, 1e-3), cut_off(MALAY)])
    words = await of_file(base, talk, "ms")
    pauses = [sound.silence(seconds)[:-123] for seconds in (1.0, 1.7, 3.0)]
    stream = [part for pause in pauses for part in (on_the_line(talk), pause)]
    assert await live(base, sound.joined(stream), "ms", chunk=1_600) == " ".join([words] * 3)


async def test_finals_use_the_wide_beam_except_under_load(base: WhisperEngine, monkeypatch) -> None:
    beams: list[tuple[bool, int]] = []
    recognise = Recogniser.recognise

    def noting(self: Recogniser, item: Prepared, beam_size: int) -> Dialogue[Decoded]:
        beams.append((item.live, beam_size))
        return recognise(self, item, beam_size)

    monkeypatch.setattr(Recogniser, "recognise", noting)
    options = Options(language="ms", temperatures=FALLBACK_TEMPERATURES[:1])
    finals = [SpeechUnit(audio=SHORT, options=options, live=True, admitted=True) for _ in range(2 * BUSY_CALLERS)]
    await asyncio.gather(*map(base.submit, finals))
    assert set(beams) == {(True, settings.VOICE_ASR_BEAM)}
    beams.clear()
    files = [SpeechUnit(audio=MALAY, options=options) for _ in range(2 * BUSY_CALLERS)]
    await asyncio.gather(*map(base.submit, [*files, finals[0]]))
    assert {beam for is_live, beam in beams if is_live} == {settings.VOICE_ASR_BUSY_BEAM}
