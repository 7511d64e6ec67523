"""Whisper base says the same with the native library as with CTranslate2, with all options of a request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from django.test import override_settings
from pytest_django import Settings

from asr.checkpoint import CONTEXTS_S, FULL_CONTEXT_S, Checkpoint
from asr.native.model import NativeModel
from asr.tuning import by_rule
from asr.units import Hypothesis, Options, SpeechUnit
from asr.whisper_engine import WhisperEngine
from inference.continuous import ContinuousBatcher
from tests import sound
from tests.asr.engines import whisper_of

#: They take between 2 and 6 seconds, so their contexts differ.
ENGLISH = (
    "please help me to change my password today",
    "one moment please i will check your account and call you back this afternoon",
    "the meeting starts at nine o'clock in the morning",
    "thank you very much for waiting",
    "my telephone number has changed since last year",
)
#: eSpeak NG's Malay is unclear, so Whisper base often finds two words almost equally likely.
MALAY = (
    "selamat pagi semua apa khabar hari ini saya mahu pergi ke pasar",
    "saya mahu pergi ke kuala lumpur esok pagi dengan kereta api",
    "bayaran bulan ini dua ratus lima puluh ringgit dan mesti dibayar sebelum hari jumaat",
)
#: Languages, texts, and a part of their translation.
FOREIGN = (("es", "buenos días señoras y señores", "good morning"), ("fr", "je voudrais un café", "coffee"))
NAMES = "we moved the logs from kafka to clickhouse and grafana"
_LINES = [("en", text) for text in (NAMES, *ENGLISH)] + [("ms", text) for text in MALAY]
_LINES += [(language, text) for language, text, _ in FOREIGN]
_SPOKEN = dict(zip(_LINES, sound.said_first(_LINES, 140), strict=True))
IN_ENGLISH = [_SPOKEN["en", text] for text in ENGLISH]
IN_MALAY = [_SPOKEN["ms", text] for text in MALAY]


async def engine_with(whisper_base: Path, native: str) -> WhisperEngine:
    checkpoint = Checkpoint(str(whisper_base), "whisper-base", contexts_s=CONTEXTS_S)
    engine = WhisperEngine(checkpoint, replace(by_rule(checkpoint, "cpu"), workers=2, threads=1))
    with override_settings(VOICE_ASR_NATIVE=native):
        await engine.load()
    return engine


@pytest.fixture(scope="module")
async def native(whisper_base: Path, native_library: Path) -> AsyncIterator[WhisperEngine]:
    engine = await engine_with(whisper_base, "auto")
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
async def batched(whisper_base: Path) -> AsyncIterator[WhisperEngine]:
    engine = await engine_with(whisper_base, "off")
    assert whisper_of(engine)
    yield engine
    await engine.close()


async def heard(engine: WhisperEngine, audio: sound.Audio, **options: Any) -> Hypothesis:
    return await engine.submit(SpeechUnit(audio=audio, options=Options(**options)))


async def all_heard(engine: WhisperEngine, clips: Sequence[sound.Audio], **options: Any) -> list[Hypothesis]:
    return [await heard(engine, audio, **options) for audio in clips]


def texts(hypotheses: Sequence[Hypothesis]) -> list[str]:
    return [each.text for each in hypotheses]


async def test_where_the_library_can_be_used_it_is_used(native: WhisperEngine) -> None:
    """In CI, the fixture ``native_library`` fails if this processor could use the library, but it is missing or old."""
    assert isinstance(native._model, NativeModel)
    assert isinstance(native._batcher, ContinuousBatcher)
    assert native.compute_type == "int8"


async def test_the_words_and_their_times_are_those_of_ctranslate2(
    native: WhisperEngine, batched: WhisperEngine
) -> None:
    options: dict[str, Any] = {"language": "en", "words": True, "logprobs": True}
    ours = await all_heard(native, IN_ENGLISH, **options)
    theirs = await all_heard(batched, IN_ENGLISH, **options)
    assert jiwer.wer(texts(theirs), texts(ours)) <= 0.05
    moments: list[tuple[float, float]] = []
    for one, other in zip(ours, theirs, strict=True):
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=0.1)
        assert one.no_speech_prob == pytest.approx(other.no_speech_prob, abs=0.1)
        assert " ".join(word.text for word in one.words) == one.text
        if one.text == other.text:
            pairs = zip(one.words, other.words, strict=True)
            moments += [moment for a, b in pairs for moment in ((a.start, b.start), (a.end, b.end))]
            logprobs = [[token.logprob for token in each.tokens] for each in (one, other)]
            assert np.mean(np.abs(np.subtract(*logprobs))) < 0.1
    assert len(moments) >= 60
    assert np.mean([abs(one - other) <= 0.1 for one, other in moments]) >= 0.95


async def test_malay_is_understood_as_well_as_with_ctranslate2(native: WhisperEngine, batched: WhisperEngine) -> None:
    ours, theirs = [texts(await all_heard(each, IN_MALAY, language="ms")) for each in (native, batched)]
    assert jiwer.cer(list(MALAY), ours) <= jiwer.cer(list(MALAY), theirs) + 0.1


@pytest.mark.parametrize(
    ("options", "max_wer"),
    [
        ({"greedy": True, "timestamps": False, "temperatures": (0.0,)}, 0.05),
        ({"timestamps": False}, 0.05),
        ({"prompt": "A call to our help desk.", "keywords": ("Maybank", "password")}, 0.05),
        ({"temperatures": (0.4,)}, 0.25),  # at a temperature, each of the two draws other tokens
    ],
    ids=["greedy", "no timestamps", "prompt", "temperature"],
)
async def test_the_options_have_the_effect_that_they_have_in_ctranslate2(
    native: WhisperEngine, batched: WhisperEngine, options: dict[str, Any], max_wer: float
) -> None:
    ours = await all_heard(native, IN_ENGLISH, language="en", **options)
    theirs = await all_heard(batched, IN_ENGLISH, language="en", **options)
    assert jiwer.wer(texts(theirs), texts(ours)) <= max_wer
    assert {one.temperature for one in ours} == {options.get("temperatures", (0.0,))[0]}
    if not options.get("timestamps", True):
        assert all(len(one.phrases) == 1 for one in ours)


async def test_keywords_help_with_names(native: WhisperEngine) -> None:
    hinted = await heard(native, _SPOKEN["en", NAMES], language="en", keywords=("Kafka", "ClickHouse", "Grafana"))
    assert "ClickHouse" in hinted.text


@pytest.mark.parametrize(("language", "text", "meant"), FOREIGN)
async def test_speech_is_translated(
    native: WhisperEngine, batched: WhisperEngine, language: str, text: str, meant: str
) -> None:
    for engine in (native, batched):
        assert meant in (await heard(engine, _SPOKEN[language, text], language=language, task="translate")).text.lower()


async def test_the_language_is_detected(native: WhisperEngine, batched: WhisperEngine) -> None:
    for language, audio in (("ms", IN_MALAY[0]), ("en", IN_ENGLISH[0])):
        ours, theirs = [await heard(each, audio, temperatures=(0.0,)) for each in (native, batched)]
        assert ours.language == theirs.language == language
        # Rounding to int8 changes the probabilities of unclear speech by up to a third, in both of them.
        assert dict(ours.languages) == pytest.approx(dict(theirs.languages), abs=0.15)


async def test_units_that_run_together_have_the_words_of_each_alone(native: WhisperEngine, settings: Settings) -> None:
    settings.VOICE_ASR_BUSY_BEAM = settings.VOICE_ASR_BEAM
    kinds: tuple[dict[str, Any], ...] = (
        {"words": True},
        {"greedy": True, "timestamps": False, "temperatures": (0.0,)},
        {"language": "en", "keywords": ("Maybank",)},
    )
    clips = [*IN_ENGLISH[:2], *IN_MALAY[:2]]
    units = [SpeechUnit(audio=audio, options=Options(**options)) for options in kinds for audio in clips]
    alone = [await native.submit(unit) for unit in units]
    together = await asyncio.gather(*map(native.submit, units))
    for one, other in zip(alone, together, strict=True):
        assert replace(other, queued_ms=one.queued_ms) == one
    assert native.stats().largest_batch > 2


async def test_a_text_that_is_cut_off_is_written_again_in_full_context(
    native: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.retries.FIRST_SPARE_TOKENS", -38)  # a limit of about twelve tokens
    found = await heard(native, IN_ENGLISH[1], language="en")
    assert found.tries == 2
    assert "account" in found.text and "afternoon" in found.text


async def test_a_model_that_was_unloaded_is_loaded_again(native: WhisperEngine) -> None:
    before = await heard(native, IN_ENGLISH[0], language="en")
    native._model.unload()
    again = await asyncio.gather(*(heard(native, IN_ENGLISH[0], language="en") for _ in range(3)))
    assert texts(again) == [before.text] * 3


async def test_thirty_seconds_are_recognised(native: WhisperEngine) -> None:
    audio = sound.joined([*IN_ENGLISH, sound.silence(FULL_CONTEXT_S)])[: FULL_CONTEXT_S * sound.RATE]
    found = await heard(native, audio, language="en", words=True)
    assert {"password", "account", "morning", "waiting", "telephone"} <= set(re.findall(r"\w+", found.text.lower()))
    assert found.words[-1].end <= FULL_CONTEXT_S
