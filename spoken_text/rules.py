"""Rules that replace written forms with the words to speak, and the function that applies them.

The time that ``apply`` takes must not grow faster than the text. So repeats in the patterns are bounded where possible
(``{1,15}`` instead of ``+``), and most patterns start at the edge of a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from spoken_text.prefilter import needed_characters

EDGE = r"(?<!\w)(?<!\d[.,])"  # where a number or a word may start
END = r"(?![\w])"
NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}(?!\d)|\d{1,15})(?:\.\d{1,15})?"
DASH = r"[-–—−]"
#: Invisible character before the name of every spelled letter. It tells "en", the letter N, from the word "en".
LETTER_MARK = "\u2063"

Say = Callable[[re.Match[str], str], str]


class Rule(NamedTuple):
    """A pattern, and a function that returns its replacement.

    ``say``: called with a match and a language ("ms" or "en"); returns the words to speak.
    ``needs``: sets of characters. A text that lacks all characters of one set cannot match, and is not searched.
    """

    pattern: re.Pattern[str]
    say: Say
    needs: tuple[frozenset[str], ...]


def rule(pattern: str, say: Say, flags: int = 0) -> Rule:
    """Compile a rule. ``flags`` are those of ``re.compile``."""
    compiled = re.compile(pattern, flags)
    return Rule(compiled, say, needed_characters(compiled))


def in_one_language(pattern: str, say: Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    """Compile a rule for a module that handles only one language. ``say`` is called with the match alone."""
    return rule(pattern, lambda match, language: say(match), flags)


def apply(rules: Iterable[Rule], text: str, language: str) -> str:
    """Apply rules one after another, each to the result of the rules before it."""
    present = set(text)
    for pattern, say, needs in rules:
        for chars in needs:  # most rules are skipped here
            if chars.isdisjoint(present):
                break
        else:
            text, count = pattern.subn(partial(_say, say, language), text)
            if count:
                present = set(text)
    return text


def _say(say: Say, language: str, match: re.Match[str]) -> str:
    return say(match, language)


def pick(language: str, malay: str, english: str) -> str:
    """Return the Malay text if ``language`` is "ms", else the English text."""
    return malay if language == "ms" else english


def words(malay: str, english: str) -> Say:
    """Return a ``say`` function that returns the same words for every match."""
    return lambda match, language: pick(language, malay, english)
