"""Errors that a short context causes are corrected with a limited number of model calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from asr import alignment, retries
from asr.checkpoint import FULL_CONTEXT_S, configured
from asr.transcript import Part, Transcript
from asr.units import Hypothesis, Options, SpeechUnit
from asr.voice_activity import Segment
from asr.whisper_engine import WhisperEngine
from tests import sound
from tests.asr import smallwhisper
from tests.asr.engines import whisper_of

CLIP = sound.noise(2.0, 0.1)


@dataclass
class Script:
    """The scripted output of the decoder, and a record of its calls.

    ``texts``: the text of each call. Further calls get the last one.
    ``scores``: the score of each call. Further calls get the last one.
    ``languages``: the detected languages with their probabilities.
    ``encoded``: the context of each encoding, in seconds.
    ``generated``: the arguments of each call.
    """

    texts: list[str | list[int]]
    scores: list[float] = field(default_factory=lambda: [-0.3])
    languages: list[tuple[str, float]] = field(default_factory=list)
    encoded: list[float] = field(default_factory=list)
    generated: list[dict[str, Any]] = field(default_factory=list)


class ScriptedModel:
    """The real model with scripted output, because no small model can be made to repeat itself."""

    def __init__(self, model: Any, tokenizer: Any, script: Script) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._script = script

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any, to_cpu: bool = False) -> Any:
        self._script.encoded.append(features.shape[-1] / 100)
        return self._model.encode(features, to_cpu=to_cpu)

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        return [self._script.languages] * encoded.shape[0]

    def generate(self, encoded: Any, prompts: list[list[int]], **how: Any) -> list[Any]:
        self._script.generated.append(how)
        number = min(len(self._script.generated), len(self._script.texts)) - 1
        text = self._script.texts[number]
        if isinstance(text, str):
            text = self._tokenizer.encode(text if text.startswith("<|") else " " + text).ids
        tokens = text[: how["max_length"] - len(prompts[0])]
        score = self._script.scores[min(number, len(self._script.scores) - 1)]
        result = SimpleNamespace(sequences_ids=[tokens], scores=[score], no_speech_prob=0.0)
        return [result] * len(prompts)


@pytest.fixture
async def engine(tmp_path: Path, settings: Settings) -> Iterator[WhisperEngine]:
    settings.VOICE_ASR_MODEL = str(smallwhisper.make(tmp_path / "whisper"))
    settings.VOICE_ASR_NATIVE = "off"  # because ``ScriptedModel`` stands in for CTranslate2
    engine = WhisperEngine(configured())
    await engine.load()
    yield engine
    await engine.close()


async def heard(
    engine: WhisperEngine, *texts: str, audio: sound.Audio = CLIP, **options: Any
) -> tuple[Hypothesis, Script]:
    script = Script(list(texts))
    unit = SpeechUnit(audio=audio, options=Options(**{"language": "ms", "timestamps": False} | options))
    return await submitted(engine, unit, script), script


async def submitted(engine: WhisperEngine, unit: SpeechUnit, script: Script) -> Hypothesis:
    real = whisper_of(engine).model
    whisper_of(engine).model = ScriptedModel(real, whisper_of(engine).hf_tokenizer, script)
    try:
        return await engine.submit(unit)
    finally:
        whisper_of(engine).model = real


@pytest.mark.parametrize(
    ("languages", "scores", "text", "tries"),
    [
        ([("<|ms|>", 0.6), ("<|en|>", 0.4)], [-1.1, -0.4], "second", 2),  # close languages, improbable words
        ([("<|ms|>", 0.6), ("<|en|>", 0.4)], [-1.1, -1.2], "first", 2),  # no more probable in the other language
        ([("<|ms|>", 0.6), ("<|en|>", 0.4)], [-0.4, -0.1], "first", 1),  # words of high probability
        ([("<|ms|>", 0.9), ("<|en|>", 0.1)], [-1.1, -0.1], "first", 1),  # clearly Malay
    ],
)
async def test_between_two_likely_languages_the_more_probable_text_wins(
    engine: WhisperEngine, languages: list[tuple[str, float]], scores: list[float], text: str, tries: int
) -> None:
    script = Script(["first", "second"], scores, languages)
    found = await submitted(engine, SpeechUnit(audio=CLIP, options=Options(timestamps=False)), script)
    assert (found.text, len(script.generated), len(script.encoded)) == (text, tries, 1)
    assert found.language == found.languages[0][0] == ("en" if text == "second" else "ms")


LOOP = "hari ini" + 30 * " lama"


@pytest.mark.parametrize(
    ("english", "texts", "scores", "language", "samples"),
    [
        (0.15, [LOOP, LOOP, "last"], [-0.3], "en", False),
        (0.15, [LOOP, LOOP, "invented", "last"], [-0.3, -0.3, -0.8, -0.3], "ms", True),
        (0.15, [LOOP, LOOP, LOOP, "last"], [-0.3], "ms", True),
        (0.05, [LOOP, LOOP, "last"], [-0.3], "ms", True),
    ],
    ids=["spoken", "improbable words", "repeats itself too", "clearly Malay"],
)
async def test_a_loop_may_be_due_to_the_wrong_language(
    engine: WhisperEngine, english: float, texts: list[str], scores: list[float], language: str, samples: bool
) -> None:
    """The second language is tried before a higher temperature."""
    script = Script(texts, scores, [("<|ms|>", 0.8), ("<|en|>", english)])
    found = await submitted(engine, SpeechUnit(audio=CLIP, options=Options(timestamps=False)), script)
    assert (found.text, found.language, len(script.generated)) == ("last", language, len(texts))
    assert ("sampling_temperature" in script.generated[-1]) is samples
    assert len(script.encoded) == 2


async def test_it_works(engine: WhisperEngine) -> None:
    hypothesis, script = await heard(engine, "apa khabar")
    assert (hypothesis.text, hypothesis.tries) == ("apa khabar", 1)
    assert (len(script.encoded), len(script.generated)) == (1, 1)
    assert script.encoded[0] < 10


@pytest.mark.parametrize("times", [3, 6])
async def test_a_looped_sentence_is_cut_to_one_without_a_retry(engine: WhisperEngine, times: int) -> None:
    hypothesis, script = await heard(engine, " ".join(["selamat pagi semua."] * times))
    assert (hypothesis.text, hypothesis.tries) == ("selamat pagi semua.", 1)
    assert len(script.generated) == 1


async def test_a_loop_with_a_different_ending_is_cut_to_one(engine: WhisperEngine) -> None:
    once = "apa ini itu dia kami awak anda saya"
    again = once.replace("saya", "pun")
    hypothesis, script = await heard(engine, f"{once} {again}", language="ta")  # Tamil may have a token for each letter
    assert (hypothesis.text, len(script.generated)) == (once, 1)


async def test_real_repetition_is_kept(engine: WhisperEngine) -> None:
    hypothesis, script = await heard(engine, "ha ha ha ha ha ha ha ha ha ha")
    assert hypothesis.text.count("ha") == 10
    assert len(script.generated) == 1


async def test_a_loop_after_other_words_is_retried_in_full_context(engine: WhisperEngine) -> None:
    hypothesis, script = await heard(engine, LOOP, "hari ini lama sekali")
    assert (hypothesis.text, hypothesis.tries) == ("hari ini lama sekali", 2)
    assert script.encoded[1:] == [FULL_CONTEXT_S]
    assert len(script.generated) == 2


async def test_a_looped_letter_after_other_words_is_retried(engine: WhisperEngine) -> None:
    hypothesis, script = await heard(engine, "hari ini" + 7 * " s", "hari ini saya sihat")
    assert (hypothesis.text, hypothesis.tries) == ("hari ini saya sihat", 2)
    assert script.encoded[1:] == [FULL_CONTEXT_S]


@pytest.mark.parametrize(
    ("seconds", "text", "expected", "tries"),
    [
        (0.3, "terima kasih kerana", "", 1),  # a click: no word of it can have been said
        (0.3, "ya", "ya", 1),
        (0.6, "terima kasih kerana menonton video", "ya", 2),  # long enough for a short word
    ],
)
async def test_audio_too_short_for_its_words_has_no_text_after_one_try(
    engine: WhisperEngine, seconds: float, text: str, expected: str, tries: int
) -> None:
    hypothesis, script = await heard(engine, text, "ya", audio=sound.noise(seconds, 0.1))
    assert (hypothesis.text, hypothesis.tries, len(script.generated)) == (expected, tries, tries)
    assert bool(hypothesis.phrases) == bool(expected)


@pytest.mark.parametrize(("seconds", "tries"), [(4.0, 2), (1.0, 1)])
async def test_a_text_that_ends_long_before_the_speech_is_retried(
    engine: WhisperEngine, seconds: float, tries: int
) -> None:
    """A text without a closing timestamp, and with few words for the length of the audio, is recognised again."""
    drafts = (["<|0.00|>", " selamat"], ["<|0.00|>", " selamat pagi semua", "<|3.00|>"])
    script = Script([_tokens(engine, draft) for draft in drafts])
    real = whisper_of(engine).model
    whisper_of(engine).model = ScriptedModel(real, whisper_of(engine).hf_tokenizer, script)
    try:
        audio = sound.noise(seconds, 0.1)
        found = await engine.submit(SpeechUnit(audio=audio, options=Options(language="ms")))
    finally:
        whisper_of(engine).model = real
    assert (found.text, found.tries) == ("selamat pagi semua" if tries == 2 else "selamat", tries)


async def test_at_most_two_encodings_and_three_tries(engine: WhisperEngine) -> None:
    hypothesis, script = await heard(engine, "hari ini" + 200 * " lama")
    assert hypothesis.text == "hari ini lama"
    assert (len(script.encoded), len(script.generated)) == (2, 3)
    assert script.encoded[1:] == [FULL_CONTEXT_S]
    most = retries.max_tokens("ms", len(CLIP) / sound.RATE)
    assert all(how["max_length"] <= most + 10 for how in script.generated)


async def test_very_fast_speech_is_retried_without_loss(engine: WhisperEngine) -> None:
    clip = sound.noise(4.0, 0.1)
    limit = retries.max_tokens("ms", 4.0, is_last_try=False)
    tokenizer = whisper_of(engine).hf_tokenizer
    numbers = [str(number) for number in range(100, 200)]
    count = next(count for count in range(100) if len(tokenizer.encode(" " + " ".join(numbers[:count])).ids) > limit)
    text = " ".join(numbers[:count])
    hypothesis, script = await heard(engine, text, audio=clip)
    assert (hypothesis.text, hypothesis.tries) == (text, 2)
    first, second = (how["max_length"] for how in script.generated)
    assert first < second


async def test_fast_speech_with_a_set_temperature_without_loss(engine: WhisperEngine) -> None:
    _hypothesis, script = await heard(engine, "apa khabar", audio=sound.noise(4.0, 0.1), temperatures=(0.2,))
    assert script.generated[0]["max_length"] >= retries.max_tokens("ms", 4.0)


async def test_a_partial_result_is_not_retried(engine: WhisperEngine) -> None:
    hypothesis, script = await heard(engine, "hari ini" + 30 * " lama", temperatures=(0.0,))
    assert hypothesis.text == "hari ini lama"
    assert len(script.generated) == 1


async def test_mandarin_is_written_in_simplified_characters(engine: WhisperEngine) -> None:
    script = Script(["給我來個最新的歌"])
    whisper_of(engine).model = ScriptedModel(whisper_of(engine).model, whisper_of(engine).hf_tokenizer, script)
    hypothesis = await engine.submit(SpeechUnit(audio=CLIP, options=Options(language="zh")))
    assert hypothesis.text == "给我来个最新的歌"
    assert [phrase.text for phrase in hypothesis.phrases] == ["给我来个最新的歌"]


@pytest.mark.parametrize(
    ("language", "pieces", "kept"),
    [
        ("zh", ["给我来", b"\xe4\xbd"], "给我来"),  # ends within a character
        ("zh", ["<|0.00|>", "给我来", b"\xe4", "<|1.00|>"], "给我来"),
        ("zh", [b"\xbd\xa0", "给我来"], "给我来"),  # begins with the end of a character
        ("ms", ["<|0.00|>", "saya ", b"\xe0\xae", "mahu", "<|1.00|>"], "saya mahu"),  # incomplete
        ("en", ["thanks ", b"\xf0\x9f\x98", "<|1.00|>", "a lot", b"\xf0\x9f"], "thanks a lot"),
        ("ta", ["<|0.00|>", "வணக்கம்", b"\xff\xfe", "<|1.00|>", b"\xae", "<|1.60|>"], "வணக்கம்"),  # bytes of no character
        ("zh", ["<|0.00|>", "给", b"\xe6", "<|0.80|>", "<|0.80|>", b"\x88\x91", "来", "<|1.60|>"], "给我来"),
    ],
)
async def test_incomplete_characters_are_dropped(
    engine: WhisperEngine, language: str, pieces: list[str | bytes], kept: str
) -> None:
    """Incomplete characters are dropped, but a character that a timestamp splits is kept.

    The small checkpoint has one token for each byte.
    """
    script = Script([_tokens(engine, pieces)])
    whisper_of(engine).model = ScriptedModel(whisper_of(engine).model, whisper_of(engine).hf_tokenizer, script)
    options = Options(language=language, words=True, logprobs=True)
    found = await engine.submit(SpeechUnit(audio=CLIP, options=options))
    transcript = Transcript(2, language, parts=[Part(Segment(0, len(CLIP), len(CLIP)), found)])
    assert transcript.text == kept
    assert [_letters("".join(phrase.text for phrase in found.phrases))] == [_letters(kept)]
    assert _letters("".join(word.text for word in found.words)) == _letters(kept)
    assert b"".join(token.piece for token in found.tokens).decode().split() == kept.split()
    answers = [transcript.json(logprobs=True), transcript.verbose_json(["word", "segment"])]
    assert "\ufffd" not in json.dumps(answers, ensure_ascii=False) + transcript.srt() + transcript.vtt()


def _tokens(engine: WhisperEngine, pieces: list[str | bytes]) -> list[int]:
    tokenizer = whisper_of(engine).hf_tokenizer
    of_byte = {byte: tokenizer.token_to_id(letter) for letter, byte in alignment._byte_of().items()}
    tokens = list[int]()
    for piece in pieces:
        if isinstance(piece, str) and piece.startswith("<|"):
            tokens.append(tokenizer.token_to_id(piece))
        else:
            tokens += [of_byte[byte] for byte in (piece.encode() if isinstance(piece, str) else piece)]
    return tokens


def _letters(text: str) -> str:
    return "".join(text.split())
