"""One word: which language it is in, and its Malay sounds."""

from __future__ import annotations

from functools import lru_cache

from spoken_text.pronunciation.affixes import analyse
from spoken_text.pronunciation.english import is_english, looks_english
from spoken_text.pronunciation.lexicon import lexicon
from spoken_text.pronunciation.malay import ipa
from spoken_text.pronunciation.rules import respell

_MAX_WORD = 60  # letters; a longer "word" is said in pieces
_CACHED = 16_384


def malay_ipa(word: str) -> str:
    """The IPA of a Malay word (a to z and apostrophes)."""
    word = word.lower()
    return "".join(_malay_ipa(word[start : start + _MAX_WORD]) for start in range(0, len(word), _MAX_WORD))


@lru_cache(_CACHED)
def _malay_ipa(word: str) -> str:
    return ipa(respelling(word))


def respelling(word: str) -> str:
    """The respelling of a Malay word: the lexicon's, or its stem's with affixes, or by rule."""
    table = lexicon()
    if word in table.respellings:
        return table.respellings[word]
    if found := analyse(word, table.knows):
        return found.joined(table.respellings[found.stem])
    return respell(word)


def word_language(word: str, names: list[str], index: int, language: str) -> str:
    """ "ms" or "en" for a word (small letters) at `index` of the sentence's tokens `names`."""
    kind = _kind(word)
    if kind == "both":
        return language if language in ("ms", "en") else "ms"
    if kind == "unknown":
        return "en" if language in ("en", "zh", "ta") or looks_english(word) else "ms"
    return kind


@lru_cache(_CACHED)
def _kind(word: str) -> str:
    """ "ms", "en", "both" or "unknown"."""
    table = lexicon()
    if word in table.brands:
        return "en"
    malay = table.knows(word)
    english = is_english(word)
    if malay:
        return "both" if english else "ms"
    if english:
        return "en"
    return "ms" if analyse(word, table.knows) else "unknown"


def english_reading(token: str) -> str:
    """How to write an English word for an English reader ("Cyberjaya" stays, "iPhone" → "eye phone")."""
    return lexicon().brands.get(token.lower(), token)
