from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tts import coqui
from tts.espeak import speak
from tts.kokoro_voices import kokoro_voices
from tts.reply_voice import sentence_voice
from tts.voices import (
    OPENAI_VOICES,
    Catalogue,
    LanguageNotFound,
    Voice,
    VoiceNotFound,
    catalogue,
)

SAMPLE = {"ms": "Selamat pagi", "en": "Good morning", "zh": "早上好", "ta": "காலை வணக்கம்"}


def espeak_voices() -> list[Voice]:
    return [voice for voice in catalogue().all() if voice.engine == "espeak-ng"]


@pytest.mark.parametrize("voice", espeak_voices(), ids=lambda voice: voice.id)
def test_every_voice_speaks_its_language(voice: Voice) -> None:
    samples = speak(SAMPLE[voice.language[:2]], str(voice.parameters["voice"]))
    assert np.abs(samples).max() > 3000


def test_malay_comes_first_and_has_variants() -> None:
    malay = [voice for voice in espeak_voices() if voice.language == "ms"]
    assert espeak_voices()[0].id == "ms"
    assert {voice.gender for voice in malay} == {"male", "female"}
    spoken = {speak("Selamat pagi", str(voice.parameters["voice"])).tobytes() for voice in malay}
    assert len(spoken) == len(malay) >= 8


def test_every_language_has_a_voice_and_every_voice_a_licence() -> None:
    assert {voice.language for voice in espeak_voices()} >= {"ms", "en-US", "en-GB", "zh", "ta"}
    assert all(voice.license for voice in catalogue().all())


@pytest.mark.parametrize("name", OPENAI_VOICES)
@pytest.mark.parametrize("model", [None, "espeak-ng"])
def test_openai_names_are_malay_voices(name: str, model: str | None) -> None:
    voice = catalogue().resolve(default="ms", model=model, voice=name)
    assert voice.language == "ms"
    assert name in voice.openai


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "ms"),
        ({"default": "en-us"}, "en-us"),
        ({"voice": "ms+f2"}, "ms+f2"),
        ({"language": "en"}, "en-us"),
        ({"language": "en", "default": "en-gb"}, "en-gb"),
        ({"language": "zh-CN"}, "cmn"),
        ({"language": "cmn"}, "cmn"),
        ({"language": "ta", "voice": "alloy"}, "ta"),
        ({"language": "en", "voice": "ms"}, "ms"),
        ({"model": "espeak-ng", "voice": "ta"}, "ta"),
        ({"model": "other"}, "other"),
        ({"model": "other", "voice": "nova"}, "other"),
        ({"voice": "other"}, "other"),
        ({"default": "other", "voice": "alloy"}, "other"),
        ({"default": "other", "language": "ta"}, "ta"),
        ({"default": "other", "model": "espeak-ng"}, "ms"),
    ],
)
def test_requested_names_resolve_to_voices(asked: dict[str, str], expected: str) -> None:
    other = replace(catalogue().all()[0], id="other", model="other", engine="coqui", openai=())
    voices = Catalogue([*espeak_voices(), other])
    assert voices.resolve(**{"default": "ms", **asked}).id == expected


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"voice": "nobody"}, VoiceNotFound),
        ({"voice": ""}, VoiceNotFound),
        ({"default": "nobody"}, VoiceNotFound),
        ({"model": "espeak-ng", "voice": "other"}, VoiceNotFound),
        ({"language": "xx"}, LanguageNotFound),
        ({"model": "other", "language": "ta"}, LanguageNotFound),
    ],
)
def test_unknown_voices_and_languages(asked: dict[str, str], error: type[Exception]) -> None:
    other = replace(catalogue().all()[0], id="other", model="other", engine="coqui", openai=())
    with pytest.raises(error):
        Catalogue([*espeak_voices(), other]).resolve(**{"default": "ms", **asked})


@pytest.mark.parametrize(
    ("license_name", "allowed"),
    [
        ("CPML", False),
        ("CC BY-NC-ND 4.0", False),
        ("CC-BY-NC-4.0", False),
        ("CC-BY-4.0", True),
        ("CC-BY-SA 4.0", True),
        ("Apache 2.0", True),
        ("MPL", True),
        ("bsd-3-clause", True),
        ("openrail", None),
        ("custom - see the page", None),
        (None, None),
    ],
)
def test_commercial_use(license_name: str | None, allowed: bool | None) -> None:
    assert coqui.commercial_use(license_name) is allowed


def test_the_public_malay_model_is_not_for_commercial_use() -> None:
    source = coqui.describe("tts_models/zlm/fairseq/vits")
    assert (source.language, source.license, source.commercial_use) == ("ms", "CC-BY-NC-4.0", False)
    assert source.voice().id == source.id == "coqui/zlm/fairseq/vits"


def test_the_sentences_language_decides_the_voice(offered: Any) -> None:
    voices = {voice.id: voice for voice in kokoro_voices(None)}
    aisyah = voices["aisyah"]
    ms = catalogue().get("ms")
    assert ms is not None
    assert sentence_voice(aisyah, "en", follows_text=True) == aisyah  # the same voice for both languages
    assert sentence_voice(aisyah, "zh", follows_text=False).id == "xiaoxiao"
    assert sentence_voice(voices["hafiz"], "zh", follows_text=True).id == "yunxi"
    assert sentence_voice(aisyah, "ta", follows_text=True).id == "ta+f2"
    assert sentence_voice(ms, "en", follows_text=True).id == "en-us"
    assert sentence_voice(ms, "en", follows_text=False) == ms
    assert sentence_voice(ms, "zh", follows_text=False).gender == "male"
    alone = replace(ms, id="alone", model="coqui/alone", engine="coqui")
    assert sentence_voice(alone, "en", follows_text=True) == alone
