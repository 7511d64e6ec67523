"""Kokoro without its weights: symbols, style packs, voices, and errors if the model is missing or broken."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from inference.errors import EngineUnavailable
from tts import kokoro as model
from tts.kokoro import PACKS, read_pack, read_vocabulary, style
from tts.kokoro_symbols import MAX_SYMBOLS, pieces, symbols
from tts.kokoro_voices import kokoro_voices
from tts.mandarin import mandarin
from tts.phonemes import phonemes
from tts.voices import OPENAI_VOICES

LETTERS = " abdefhijklmnoprstuvwzɡŋɲʃʧʤəɛɪʊɔɑɹɾʔˈˌː,.!?:;AIOWY→↗↓↘ʰɕʨꭧʂɻɨɤxɥy"
VOCABULARY = {symbol: number for number, symbol in enumerate(LETTERS, 1)}


@pytest.mark.parametrize(
    ("ipa", "said"),
    [
        ("tʃˈutʃi, dʒˈari ɡˈaji", "ʧˈuʧi, ʤˈari ɡˈaji"),
        ("ˈiːmeɪl ɡˈoʊ hˈaʊs bˈɔɪ fˈaɪn", "ˈiːmAl ɡˈO hˈWs bˈY fˈIn"),
        ("ni↓xau↓", "ni↓xau↓"),
        ("gˈa", "ɡˈa"),
        ("ʘ ! ǂ", ""),
        ("", ""),
        ("a ǂ b", "a b"),
    ],
)
def test_phonemes_become_the_models_symbols(ipa: str, said: str) -> None:
    assert symbols(ipa, VOCABULARY) == said


def test_an_unknown_phoneme_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tts.kokoro_symbols"):
        assert symbols("aǂa", VOCABULARY) == "aa"
    assert "'ǂ'" in caplog.text


def test_long_speech_is_cut_at_pauses_then_between_words_then_anywhere() -> None:
    sentence = "a" * 120 + ". " + "b" * 120 + ", " + "c " * 150
    cut = list(pieces(sentence))
    assert cut[0].endswith(".") or cut[0].endswith(",")
    assert all(0 < len(piece) <= MAX_SYMBOLS for piece in cut)
    assert "".join(cut).replace(" ", "") == sentence.replace(" ", "")
    endless = "a" * 4096
    assert "".join(pieces(endless)) == endless
    assert max(map(len, pieces(endless))) == MAX_SYMBOLS


def test_mandarin_has_its_tones_and_its_phrases() -> None:
    assert mandarin("你好，中国。") == "ni↓xau↓, ꭧʊ→ŋkwo↗."
    assert mandarin("银行").startswith("i↗n")
    assert mandarin("银行").endswith("xa↗ŋ")  # not xíng
    assert mandarin("") == ""


@pytest.mark.parametrize(
    ("text", "ipa"),
    [
        ("kerajaan", "kəradʒˈaan"),  # with a glottal stop it would sound like "kerajatan"
        ("seorang anak", "səˈoraŋ ˈanak"),
        ("ramai", "rˈamaj"),
        ("hijau", "hˈidʒaw"),
        ("amboi", "ˈamboj"),
        ("main laut", "mˈaen lˈaot"),
        ("bagaimana saya buka", "baɡajmˈana sˈaja bˈuka"),
        ("pergi ke Ipoh", "pərɡˈi kə ˈipoh"),
    ],
)
def test_malay_stress_and_vowels(text: str, ipa: str) -> None:
    assert phonemes(text, "ms") == ipa


def test_english_words_in_malay_have_no_american_flap() -> None:
    assert phonemes("meeting", "ms") == "mˈiːtɪŋ"  # with the flap it is heard as "miring"
    assert phonemes("meeting", "en") == "mˈiːɾɪŋ"


def test_a_sentence_of_several_languages_becomes_one_string() -> None:
    said = phonemes("Jangan lupa check email 小明.", "ms")
    assert said.startswith("dʒˈaŋan lˈupa ")
    assert "tʃˈɛk ˈiːm" in said
    assert said.endswith("ɕjau↓mi↗ŋ.") or said.endswith("ɕjau↓ mi↗ŋ.")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("short.bin", np.zeros((509, 256), np.float32)),
        ("odd.f16", np.zeros(300, np.float16)),
        ("empty.f16", np.zeros(0, np.float16)),
        ("nan.f16", np.full((2, 256), np.nan, np.float16)),
    ],
)
def test_an_invalid_style_pack_is_named_in_the_error(tmp_path: Path, name: str, values: np.ndarray) -> None:
    (tmp_path / name).write_bytes(values.tobytes())
    with pytest.raises(EngineUnavailable, match=name):
        read_pack(tmp_path / name)


def test_an_invalid_custom_style_pack_only_disables_its_voice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "voices").mkdir()
    np.zeros((510, 256), np.float32).tofile(tmp_path / "voices" / "zf_good.bin")
    np.zeros((12, 256), np.float32).tofile(tmp_path / "voices" / "af_bad.bin")
    ids = {voice.id for voice in kokoro_voices(tmp_path)}
    assert "kokoro/zf_good" in ids
    assert "kokoro/af_bad" not in ids
    assert "a voice is left out" in caplog.text


def test_missing_rows_of_a_style_pack_are_interpolated() -> None:
    pack = np.arange(3, dtype=np.float32)[:, np.newaxis] * np.ones((1, 256), np.float32)
    assert style(pack, 0)[0, 0] == 0
    assert style(pack, 509)[0, 0] == style(pack, 5000)[0, 0] == 2
    assert style(pack, 255)[0, 0] == pytest.approx(1, abs=0.01)


def test_openai_names_are_thirteen_different_voices_that_speak_malay() -> None:
    voices = kokoro_voices(None)
    named = {name: voice for voice in voices for name in voice.openai}
    assert named.keys() == set(OPENAI_VOICES)
    assert len({voice.id for voice in named.values()}) == len(OPENAI_VOICES)
    packs = {voice.id: (PACKS / f"{voice.parameters['pack']}.f16").read_bytes() for voice in voices}
    assert len(set(packs.values())) == len(packs)
    assert all(voice.language == "ms" for voice in named.values())
    assert named["alloy"] == voices[0]
    assert {voice.gender for voice in voices if voice.language == "zh"} == {"female", "male"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"vocab": {"a": "x"}}', '{"vocab": {"q": 1}}'])
def test_an_invalid_vocabulary(tmp_path: Path, content: str) -> None:
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(EngineUnavailable, match=r"vocab\.json"):
        read_vocabulary(tmp_path / "vocab.json")


def test_missing_and_broken_models_are_explained(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no directory"):
        model.load(tmp_path / "nowhere")
    (tmp_path / "vocab.json").write_text(json.dumps({"vocab": VOCABULARY}))
    with pytest.raises(EngineUnavailable, match=r"no model\.onnx"):
        model.load(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"half a file")
    with pytest.raises(EngineUnavailable, match="does not load"):
        model.load(tmp_path)
