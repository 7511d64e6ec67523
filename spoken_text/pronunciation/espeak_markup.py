"""Prepare text for eSpeak NG's Malay voice: each word is written as the library's phoneme names in ``[[…]]``.

- The Malay voice also speaks English words within a Malay sentence, with Malay sounds as Malaysians do.
- English sentences, and words in Chinese or Tamil, go to the library's voices of those languages.
- The phoneme names are from the library's table for Malay and Indonesian (notation: docs/phonemes.md of eSpeak NG).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spoken_text.pronunciation.letters import LETTER_MARK
from spoken_text.pronunciation.speech import EnglishPhonemes, SpokenWord, phonemes, sentence_language

_NAMES = {
    "tʃ": "tS",
    "dʒ": "dZ",
    "aɪ": "aI",
    "aʊ": "aU",
    "ɔɪ": "OI",
    "oɪ": "OI",
    "eɪ": "eI",
    "əʊ": "o:",
    "oʊ": "o:",
    "iː": "i:",
    "uː": "u:",
    "ɑː": "a:",
    "ɔː": "O:",
    "ɜː": "@",
    "eə": "E2",
    "ɛə": "E2",
    "əl": "@l",
    "a": "a",
    "e": "e",
    "ə": "@",
    "i": "i",
    "ɪ": "i",
    "o": "o",
    "u": "u",
    "ʊ": "u",
    "ɛ": "E2",
    "æ": "E2",
    "ʌ": "a",
    "ɐ": "@",
    "ɑ": "a",
    "ɒ": "O",
    "ɔ": "O",
    "ɜ": "@",
    "ɚ": "@",
    "ᵻ": "i",
    "ɨ": "i",
    "y": "i",
    "ø": "e",
    "œ": "e",
    "b": "b",
    "d": "d",
    "f": "f",
    "ɡ": "g",
    "g": "g",
    "h": "h",
    "j": "j",
    "k": "k",
    "l": "l",
    "m": "m",
    "n": "n",
    "ŋ": "N",
    "ɲ": "n^",
    "p": "p",
    "r": "R",
    "ɹ": "r",
    "ɾ": "*",
    "s": "s",
    "ʃ": "S",
    "t": "t",
    "v": "v",
    "w": "w",
    "x": "x",
    "ɣ": "Q",
    "z": "z",
    "ʒ": "Z",
    "ʔ": "?",
    "θ": "T",
    "ð": "D",
    "ɬ": "l",
    "ɫ": "l",
    "ʍ": "w",
    "c": "tS",
    "ˈ": "'",
    "ˌ": ",",
}
# In Malay words, the lax vowels of closed last syllables are [e] and [o], as in eSpeak NG's own Malay ("puteh",
# "puloh").
_MALAY_NAMES = {**_NAMES, "ɪ": "e", "ʊ": "o"}
_SYMBOL = re.compile("|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True)))
# Pairs of characters that are themselves a phoneme name. Two names that would form one are separated by "|".
_JOINED = frozenset(["tS", "dZ", "aI", "aU", "OI", "eI", "oU", "@U", "i@", "U@", "@r", "ar", "Or", "n^", "e@", "u@"])
_VOICES = {"ms": "ms", "en": "en-us", "zh": "cmn", "ta": "ta"}
_MAX_NAMES = 60  # names in one pair of brackets; with more than 200 the library writes past its buffer
_BRACKETS = re.compile(r"[\[\]<>&]+")


@dataclass(frozen=True, slots=True)
class EspeakPiece:
    """A part of a sentence that one eSpeak NG voice speaks.

    ``language``: "ms", "en", "zh" or "ta".
    ``marked``: whether ``text`` has phoneme names in ``[[…]]``.
    """

    language: str
    text: str
    marked: bool = False


def espeak_pieces(text: str, language: str = "ms", *, english: EnglishPhonemes) -> list[EspeakPiece]:
    """Split a sentence wherever the voice must change. Pieces for the Malay voice hold phoneme names.

    ``text``: one speakable sentence.
    ``language``: the sentence's language if it cannot be detected.
    ``english``: function that returns the IPA of English text.
    """
    if sentence_language(text, language) == "en":
        return [EspeakPiece("en", plain_text(text))]
    pieces: list[EspeakPiece] = []
    malay: list[str] = []
    for word in phonemes(text, language, english=english):
        if word.language in ("ms", "en"):
            malay.append(" ".join(f"[[{part}]]" for part in mnemonics(word)) + word.pause)
            continue
        pieces += _malay_piece(malay)
        malay = []
        pieces.append(EspeakPiece(word.language, plain_text(word.text) + word.pause))
    return pieces + _malay_piece(malay)


def _malay_piece(words: list[str]) -> list[EspeakPiece]:
    return [EspeakPiece("ms", " ".join(words), marked=True)] if words else []


def mnemonics(word: SpokenWord) -> list[str]:
    """Return the eSpeak NG phoneme names of a word: a list of one string, or of several for a very long word.

    IPA symbols for which the Malay voice has no phoneme are left out.
    """
    table = _MALAY_NAMES if word.language == "ms" and not word.letter else _NAMES
    symbols = _SYMBOL.findall(_with_stress_first(word.ipa))
    names = [table[symbol] for symbol in symbols]
    return [_joined(names[start : start + _MAX_NAMES]) for start in range(0, len(names), _MAX_NAMES)]


def _joined(names: list[str]) -> str:
    written = ""
    for name in names:
        if written and written[-1] + name[0] in _JOINED:
            written += "|"
        written += name
    return written


def _with_stress_first(ipa: str) -> str:
    """Return a word's IPA with one main stress, the last. Earlier main stresses become secondary ones."""
    head, _, tail = ipa.rpartition("ˈ")
    return head.replace("ˈ", "ˌ") + "ˈ" + tail if head or ipa.startswith("ˈ") else ipa


def plain_text(text: str) -> str:
    """Remove the characters that eSpeak NG would take for markup (``[ ] < > &``), and the letter marks."""
    return _BRACKETS.sub(" ", text.replace(LETTER_MARK, ""))


def voices_for(pieces: list[EspeakPiece], voice: str) -> Iterator[tuple[EspeakPiece, str]]:
    """Yield each piece with the name of the eSpeak NG voice for its language.

    ``voice``: the Malay voice, such as "ms+f3". Its variant ("f3") is used for all languages.
    """
    variant = voice.partition("+")[2]
    for piece in pieces:
        name = _VOICES[piece.language]
        yield piece, f"{name}+{variant}" if variant else name
