"""Whisper base on speech: no word is lost and none is invented, in Malay, in English, and in both together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pytest_django import Settings

from asr.checkpoint import CONTEXTS_S, Checkpoint
from asr.transcript import Transcript
from asr.transcription import Transcription
from asr.units import Options
from asr.whisper_engine import WhisperEngine
from tests import sound

ENGLISH = sound.said("please help me to change my password today", "en", rate=150)
MALAY = sound.said("selamat pagi semua apa khabar hari ini saya mahu pergi ke pasar", rate=150)


@pytest.fixture(scope="module")
async def base(whisper_base: Path) -> AsyncIterator[WhisperEngine]:
    engine = WhisperEngine(Checkpoint(str(whisper_base), "whisper-base", contexts_s=CONTEXTS_S))
    await engine.load()
    yield engine
    await engine.close()


async def heard(engine: WhisperEngine, audio: sound.Audio, options: Options | None = None) -> Transcript:
    options = options or Options()
    opened = await Transcription.open(sound.wav(audio), engine, engine.checkpoint, options)
    return await opened.whole()


def letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


@pytest.mark.parametrize(
    "text",
    [
        "subscribe now",
        "thanks for listening",
        "thank you for watching",
        "please like and subscribe",
        "see you in the next video",
    ],
)
async def test_spoken_captions_are_kept(base: WhisperEngine, text: str) -> None:
    # At the usual rate two transcripts of "subscribe now" are almost equally likely, and a few milliseconds of padding
    # decide. Slow speech is unambiguous.
    found = await heard(base, sound.said(text, "en", rate=130), Options(language="en"))
    assert letters(text) in letters(found.text)


@pytest.mark.parametrize("order", [(ENGLISH, MALAY), (MALAY, ENGLISH), (MALAY, ENGLISH, MALAY)])
async def test_each_segment_is_in_its_own_language(base: WhisperEngine, order: tuple[sound.Audio, ...]) -> None:
    audio = sound.joined(part for parts in zip(order, [sound.silence(0.8)] * 3, strict=False) for part in parts)
    found = await heard(base, audio)
    assert set(found.languages) == {"ms", "en"}
    assert "password" in found.text.lower()
    assert "pagi" in found.text.lower()


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("one moment please i will check your account", "the meetings start in the morning", "account"),
        ("thank you very much for waiting", "the meetings start in the morning", "waiting"),
        ("one moment please i will check your account", "thank you very much", "account"),
    ],
)
async def test_both_sentences_of_a_segment_appear_once(base: WhisperEngine, first: str, second: str, word: str) -> None:
    audio = sound.joined([sound.said(first, "en", rate=150), sound.said(second, "en", rate=150)])
    found = (await heard(base, audio, Options(language="en"))).text.lower()
    assert (found.count(word), found.count(second.split()[-1])) == (1, 1)


async def test_one_english_word_does_not_change_the_language(base: WhisperEngine) -> None:
    audio = sound.joined([MALAY, sound.silence(0.8), sound.said("okay", "en"), sound.silence(0.8), MALAY])
    found = await heard(base, audio)
    assert found.language == "ms"
    assert {part.hypothesis.language for part in found.parts if part.segment.speech_s > 2} == {"ms"}


NAMES = [
    ("en", "the server runs on slurm and kubernetes with pytorch", "Slurm Kubernetes PyTorch"),
    ("en", "we moved the logs from kafka to clickhouse and grafana", "Kafka ClickHouse Grafana"),
    ("en", "she opened accounts with ambank and maybank and affin bank", "AmBank Maybank Affin"),
    ("ms", "encik husein dan puan khadijah bekerja di petronas", "Husein Khadijah Petronas"),
    ("ms", "saya buka akaun di maybank dan cimb", "Maybank CIMB"),
    ("ms", "faizal dan aminah naik grab ke putrajaya", "Faizal Aminah Grab Putrajaya"),
]


async def test_keywords_help_with_names(base: WhisperEngine) -> None:
    """With keywords, at least six more names are recognised, counted over all sentences.

    In a single sentence, two spellings may be almost equally likely. Which of the two wins can then differ in another
    batch or on another machine.
    """
    plain = 0
    helped = 0
    for language, text, listed in NAMES:
        audio = sound.said(text, language, rate=150)
        names = listed.split()
        hints = Options(language=language, keywords=tuple(names))
        without = (await heard(base, audio, Options(language=language))).text.lower()
        hinted = (await heard(base, audio, hints)).text.lower()
        plain += sum(name.lower() in without for name in names)
        helped += sum(name.lower() in hinted for name in names)
    assert helped >= plain + 6, (plain, helped)


async def test_keywords_that_were_not_said_do_not_appear(base: WhisperEngine) -> None:
    hints = Options(language="ms", keywords=("Husein", "Petronas", "Maybank"), prompt="Perbualan tentang Maybank.")
    for audio in (sound.silence(3), sound.noise(3), sound.hold_music(6), sound.tone(2)):
        assert (await heard(base, audio, hints)).text == ""


@pytest.mark.parametrize("seconds", [1, 7, 31, 60])
async def test_audio_without_speech_has_no_words(base: WhisperEngine, seconds: int) -> None:
    time = np.arange(seconds * sound.RATE) / sound.RATE
    ringing = (0.2 * (np.sin(880 * np.pi * time) + np.sin(960 * np.pi * time)) * (time % 3 < 1)).astype(np.float32)
    hum = (0.1 * sum(np.sin(100 * np.pi * k * time) / k for k in (1, 2, 3, 5))).astype(np.float32)
    brown = np.cumsum(sound.noise(seconds)).astype(np.float32)
    sounds = [sound.silence(seconds), sound.noise(seconds, 0.2), brown / np.abs(brown).max() / 3, hum, ringing]
    for audio in [*sounds, sound.tone(seconds), sound.hold_music(seconds)]:
        assert (await heard(base, audio)).text == ""


async def test_a_batch_gives_the_same_words_as_single_units(base: WhisperEngine, settings: Settings) -> None:
    settings.VOICE_ASR_BUSY_BEAM = settings.VOICE_ASR_BEAM
    clips = [ENGLISH, MALAY, sound.joined([ENGLISH, sound.silence(0.3), MALAY]), MALAY[: len(MALAY) // 2]]
    alone = [(await heard(base, clip)).text for clip in clips]
    together = await asyncio.gather(*(heard(base, clip) for clip in clips))
    assert [found.text for found in together] == alone
