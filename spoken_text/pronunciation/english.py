"""Recognise English words in Malay sentences: by a word list, and by spellings that do not occur in Malay."""

from __future__ import annotations

import re

from spoken_text.pronunciation.lexicon import lexicon

# Spellings that no Malay word has. Malay names of Arabic origin do have th, dh, ee and oo. So th and dh are not listed,
# and ee and oo count only before another letter.
_NOT_MALAY = re.compile(
    r"""
    tion|sion$|ough|ight|wh|ck|tch|dge|sch|^(?:wr|kn)|eau|ay$|ey$|[oe]w(?![aeiou])|aw$|oa[cdlprst]|ies$|ous$|ness$
    |ful$|less$|ment$|[^aeiou]ly$|[bdfghjklmprstvz]{1}ed$|(?<!n)(?P<twice>[bdgklmnprt])(?P=twice)ing$|qu
    |[aeiou][bcdfgkmpstvz]e$|(?<!^k)(?<!^s)ee[a-z]|(?<!^z)(?<!^k)oo[a-z]|[cqvw]$|(?<!n)g$|ss$|ll$|tt|pp|cc|ff|rr
    |[bcdfghjklmnpqrstvwxz]y$(?<!ny)(?<!sy)
    """,
    re.VERBOSE,
)
_DOUBLES = re.compile(r"[^aeiou]*[aeiou][bdfgklmnprtvz]")  # words that double their last letter: "stop", "stopping"
_ENDINGS = ("ing", "ed", "er", "ers", "s", "es", "'s", "ly", "d")
_MIN_STEM = 3
_MIN_PART = 4  # letters of each word in a compound


def is_english(word: str) -> bool:
    """Return True if a lower-case word is in the English word list, or is a form or compound of its words."""
    words = lexicon().english
    return word in words or _is_inflected(word, words) or _is_compound(word, words)


def _is_inflected(word: str, words: frozenset[str], depth: int = 2) -> bool:
    """Return True if a word consists of a word of the list and one to ``depth`` endings, such as "quick-ly"."""
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _MIN_STEM:
            continue
        if _takes(stem, ending, words):
            return True
        if depth > 1 and _is_inflected(stem, words, depth - 1):
            return True
    return False


def _takes(stem: str, ending: str, words: frozenset[str]) -> bool:
    """Return True if ``stem`` and ``ending`` together are the correct spelling of an inflected word of the list.

    "stopp" with "ing" and "mak" with "ing" are correct, "stop" with "ing" is not.
    """
    if ending[0] not in "ei" or _is_compound(stem, words):
        return stem in words or _is_compound(stem, words)
    if stem + "e" in words or (stem[-1] == stem[-2] and stem[:-1] in words):
        return True
    return stem in words and not _DOUBLES.fullmatch(stem)


def _is_compound(word: str, words: frozenset[str]) -> bool:
    """Return True if a word is made of two different words of the list, as in "handphone"."""
    cuts = range(_MIN_PART, len(word) - _MIN_PART + 1)
    return any(word[:cut] in words and word[cut:] in words and word[:cut] != word[cut:] for cut in cuts)


def looks_english(word: str) -> bool:
    """Return True if an unknown word has a sequence of letters that does not occur in Malay."""
    return bool(_NOT_MALAY.search(word))
