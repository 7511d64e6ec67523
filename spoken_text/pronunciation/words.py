"""Decide whether a single word is Malay or English, and pronounce Malay words."""

from __future__ import annotations

from functools import lru_cache

from spoken_text.pronunciation.affixes import analyse, guess
from spoken_text.pronunciation.english import is_english, looks_english
from spoken_text.pronunciation.lexicon import lexicon
from spoken_text.pronunciation.malay import ipa
from spoken_text.pronunciation.rules import respell

_MIN_ENGLISH = 4  # letters of an English stem within a Malay word
_MAX_WORD = 60  # letters; a longer string of letters is pronounced in pieces
_CACHED = 16_384
_UNSTRESSED = frozenset("di ke yang dan pun si sang pada dari oleh para per nak tu ni lah kah".split())
_VERB_PREFIXES = frozenset("me mem men meng menge meny ber be di".split())  # no "ter-": "terakhir" is not a verb
# Word that exists in both languages → English neighbours that show that it is English here.
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
    """Return the IPA of a Malay word. ``word`` may have only the letters a to z, in any case, and apostrophes."""
    word = word.lower()
    return "".join(_malay_ipa(word[start : start + _MAX_WORD]) for start in range(0, len(word), _MAX_WORD))


@lru_cache(_CACHED)
def _malay_ipa(word: str) -> str:
    sound = ipa(respelling(word))
    return sound.replace("ˈ", "") if word in _UNSTRESSED else sound


def respelling(word: str) -> str:
    """Return the respelling of a Malay word (see ``malay``).

    The respelling is from the lexicon, or composed of affixes and a stem in the lexicon, or predicted by rules.
    """
    table = lexicon()
    if word in table.respellings:
        return table.respellings[word]
    if found := analyse(word, table.knows):
        return found.joined(table.respellings[found.stem])
    guessed = guess(word)
    return guessed.joined(respell(guessed.stem))


@lru_cache(_CACHED)
def is_verb(word: str) -> bool:
    """Return True if a lower-case word has a prefix of Malay verbs, as in "membaca", "berjalan" and "dibuka"."""
    table = lexicon()
    if table.knows(word):
        prefix, *stem = table.respellings[word].split("+")
        return bool(stem) and prefix in _VERB_PREFIXES
    found = analyse(word, table.knows)
    return found is not None and bool(found.prefixes) and found.prefixes[0] in _VERB_PREFIXES


def word_language(word: str, names: list[str], index: int, language: str) -> str:
    """Return the language of a word in its sentence: "ms" or "en".

    ``word``: the word in lower case.
    ``names``: all tokens of the sentence in lower case.
    ``index``: index of the word in ``names``.
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
    """Return True if a single letter ("a", "i", or "n" for "and") should be read as English.

    The letter is English if the next word is only English, not also Malay, and longer than one letter.

    ``names``, ``index``: see ``word_language``.
    """
    after = names[index + 1] if index + 1 < len(names) else ""
    return letter in ("a", "i", "n") and len(after) > 1 and word_kind(after) == "en"


def _beside(word: str, names: list[str], index: int) -> bool:
    """Return True if the neighbours of a word that exists in both languages show that it is English here.

    Examples are "jam" in "traffic jam" and "main" in "the main point".
    """
    before = names[index - 1] if index else ""
    after = names[index + 1] if index + 1 < len(names) else ""
    if {before, after} & _TOGETHER.get(word, frozenset()):
        return True
    return bool(before and after) and word_kind(before) == "en" and word_kind(after) == "en"


@lru_cache(_CACHED)
def word_kind(word: str) -> str:
    """Return the language of a lower-case word on its own: "ms", "en", "both" or "unknown"."""
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
    """Split an English word with Malay affixes into pairs (part, language), or return () for any other word.

    "diupdatekan" gives ("di", "ms"), ("up-date", "en") and ("kan", "ms"). English parts are spelled as in
    ``english_reading``.
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
    """Return the spelling from which an English voice pronounces a word correctly: "eye phone" for "iPhone".

    Most words are returned unchanged.
    """
    return lexicon().brands.get(token.lower(), token)
