"""How libespeak-ng pronounces Malay text, tested by the phonemes that it reports while it speaks."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from spoken_text.pronunciation import LETTER_MARK, phonemes
from spoken_text.pronunciation.espeak_markup import espeak_pieces, voices_for
from spoken_text.speakable import speakable
from tests.spoken_text.pronunciation_words import MANGLISH, NAMES, WORDS
from tests.spoken_text.test_pronunciation import LETTERS
from tts import espeak

Say = Callable[[str], str]
CONSONANTS = re.compile("[bdfɡhjklmnŋɲpsʃtvwzxɣθð]")

english = partial(espeak.phonemes, voice="en")


@pytest.fixture
def said(tmp_path: Path) -> Say:
    """A function that speaks a text as the engine does, and returns the IPA without stress marks."""
    library = espeak._library()._lib
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    libc.fclose.argtypes = [ctypes.c_void_p]

    def say(text: str) -> str:
        path = tmp_path / "phonemes"
        file = ctypes.c_void_p(libc.fopen(str(path).encode(), b"w"))
        library.espeak_SetPhonemeTrace(2, file)
        try:
            for piece, voice in voices_for(espeak_pieces(text, english=english), "ms"):
                espeak.speak(piece.text, voice, marked=piece.marked)
        finally:
            library.espeak_SetPhonemeTrace(0, None)
            libc.fclose(file)
        return " ".join(re.sub("[ˈˌ]", "", path.read_text()).split())

    return say


def test_every_letter(said: Say) -> None:
    for letter, sound in LETTERS.items():
        assert said(speakable(f"Blok {letter.upper()}Q", letters=True)).split()[1] == sound, letter


@pytest.mark.parametrize("start", range(0, len(WORDS), 20))
def test_e_and_schwa_are_distinguished(said: Say, start: int) -> None:
    chosen = WORDS[start : start + 20]
    heard = said(", ".join(word.replace("é", "e") for word in chosen)).split()
    assert len(heard) == len(chosen)
    for word, sound in zip(chosen, heard, strict=True):
        letters = re.findall("[aeéiou]", word)
        vowels = re.findall("[aeəɛiɪoɔʊu]", sound.replace("ː", ""))
        wanted = ["ə" if letter == "e" else "e" for letter in letters if letter in "eé"]
        assert [vowel for vowel, letter in zip(vowels, letters, strict=True) if letter in "eé"] == wanted, (word, sound)


def test_names(said: Say) -> None:
    for name, ipa in NAMES.items():
        lax = re.sub("(?<![ae])ɪ", "e", re.sub("(?<!a)ʊ", "o", ipa))  # its Malay has no lax vowels
        assert said(name) == lax, name


@pytest.mark.parametrize("line", MANGLISH)
def test_english_words_keep_their_consonants(said: Say, line: str) -> None:
    text = line.replace("*", "")
    wanted = "".join(word.ipa for word in phonemes(text, english=english))
    assert CONSONANTS.findall(said(text)) == CONSONANTS.findall(wanted)


def test_an_english_word_in_malay_is_pronounced_as_english(said: Say) -> None:
    assert said("Saya ada meeting") == "sajə adə miːtiŋ"


def test_an_english_sentence_has_the_english_voice() -> None:
    pieces = espeak_pieces("Please call me before the meeting.", english=english)
    assert [voice for _, voice in voices_for(pieces, "ms+f3")] == ["en-us+f3"]


def test_chinese_inside_malay_has_the_mandarin_voice() -> None:
    pieces = espeak_pieces("Selamat datang ke 好吃 di sini", english=english)
    assert [voice for _, voice in voices_for(pieces, "ms+f3")] == ["ms+f3", "cmn+f3", "ms+f3"]


@pytest.mark.parametrize("text", ["[[k'a]] saya", "saya [[ ]] dia", "<voice name='en'>saya", "a" * 4096, "bukan" * 800])
def test_espeak_commands_in_the_text_have_no_effect(said: Say, text: str) -> None:
    assert said(text)
    assert LETTER_MARK not in said(text)
