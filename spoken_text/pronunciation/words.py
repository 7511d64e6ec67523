"""Decide which language a single word is in, and find its Malay sounds."""

from __future__ import annotations

from functools import lru_cache

from spoken_text.pronunciation.affixes import analyse, guess
from spoken_text.pronunciation.english import is_english, looks_english
from spoken_text.pronunciation.lexicon import lexicon
from spoken_text.pronunciation.malay import ipa
from spoken_text.pronunciation.rules import respell

_MIN_ENGLISH = 4  # letters of an English stem within a Malay word
_MAX_WORD = 60  # letters; a longer "word" is said in pieces
_CACHED = 16_384
_UNSTRESSED = frozenset("di ke yang dan pun si sang pada dari oleh para per nak tu ni lah kah".split())
_VERB_PREFIXES = frozenset("me mem men meng menge meny ber be di".split())  # not "ter-": "terakhir" is not a verb
# Word of both languages → the English words that, beside it, show that it is English.
_TOGETHER = {
    "jam": frozenset(["traffic"]),
    "air": frozenset(["cond", "conditioner", "fryer", "force", "ticket"]),
    "main": frozenset(["course", "point", "entrance", "board", "road", "character"]),
    "had": frozenset(["i", "have"]),
    "pop": frozenset(["up"]),
    "bin": frozenset(["recycle", "recycling", "rubbish"]),
    "man": frozenset(["iron", "super", "spider"]),
}


def malay_ipa(word: str) -> str:
    """Return the IPA of a Malay word (a to z and apostrophes)."""
    word = word.lower()
    return "".join(_malay_ipa(word[start : start + _MAX_WORD]) for start in range(0, len(word), _MAX_WORD))


@lru_cache(_CACHED)
def _malay_ipa(word: str) -> str:
    sound = ipa(respelling(word))
    return sound.replace("ˈ", "") if word in _UNSTRESSED else sound


def respelling(word: str) -> str:
    """Return a Malay word's respelling (see ``malay``): from the lexicon, from its stem and affixes, or by rule."""
    table = lexicon()
    if word in table.respellings:
        return table.respellings[word]
    if found := analyse(word, table.knows):
        return found.joined(table.respellings[found.stem])
    guessed = guess(word)
    return guessed.joined(respell(guessed.stem))


@lru_cache(_CACHED)
def is_verb(word: str) -> bool:
    """Return True if the prefix of a word (small letters) makes it a Malay verb: "membaca", "berjalan", "dibuka"."""
    table = lexicon()
    if table.knows(word):
        prefix, *stem = table.respellings[word].split("+")
        return bool(stem) and prefix in _VERB_PREFIXES
    found = analyse(word, table.knows)
    return found is not None and bool(found.prefixes) and found.prefixes[0] in _VERB_PREFIXES


def word_language(word: str, names: list[str], index: int, language: str) -> str:
    """Return the language ("ms" or "en") of a word in small letters.

    ``names``: tokens of the word's sentence.
    ``index``: index of the word among them.
    ``language``: language of the sentence.
    """
    kind = word_kind(word)
    if kind == "both":
        if language != "en" and _beside(word, names, index):
            return "en"
        return "en" if language == "en" else "ms"
    if kind == "unknown":
        return "en" if language in ("en", "zh", "ta") or looks_english(word) else "ms"
    return kind


def in_english(letter: str, names: list[str], index: int) -> bool:
    """Return True if a lone letter ("a", "I", or "n" for "and") is a word, because an English word follows."""
    after = names[index + 1] if index + 1 < len(names) else ""
    return letter in ("a", "i", "n") and len(after) > 1 and word_kind(after) == "en"


def _beside(word: str, names: list[str], index: int) -> bool:
    """Return True if its neighbours show that a word of both languages is English: "traffic jam", "the main point"."""
    before = names[index - 1] if index else ""
    after = names[index + 1] if index + 1 < len(names) else ""
    if {before, after} & _TOGETHER.get(word, frozenset()):
        return True
    return bool(before and after) and word_kind(before) == "en" and word_kind(after) == "en"


@lru_cache(_CACHED)
def word_kind(word: str) -> str:
    """Return "ms", "en", "both" or "unknown" for a word in small letters, without regard to its neighbours."""
    table = lexicon()
    if len(word) > _MAX_WORD:
        return "ms"
    if word in table.brands:
        return "en"
    english = word in table.english
    if table.knows(word):
        return "both" if english else "ms"
    if english:
        return "en"
    if analyse(word, table.knows):
        return "ms"
    return "en" if is_english(word) else "ms" if mixed_parts(word) else "unknown"


@lru_cache(_CACHED)
def mixed_parts(word: str) -> tuple[tuple[str, str], ...]:
    """Split an English word with Malay affixes: "diupdatekan" into di, update and kan, each with its language.

    Any other word gives ().
    """
    table = lexicon()
    if len(word) > _MAX_WORD or table.knows(word) or analyse(word, table.knows):
        return ()
    found = analyse(word, _is_english_stem)
    if not found or found.swallowed:
        return ()
    return (
        *((prefix, "ms") for prefix in found.prefixes),
        (english_reading(found.stem), "en"),
        *((suffix, "ms") for suffix in found.suffixes),
    )


def _is_english_stem(stem: str) -> bool:
    table = lexicon()
    return len(stem) >= _MIN_ENGLISH and not table.knows(stem) and (stem in table.brands or is_english(stem))


def english_reading(token: str) -> str:
    """Return how to write a word for an English reader: "iPhone" is "eye phone", "Cyberjaya" stays."""
    return lexicon().brands.get(token.lower(), token)
