"""A rule says what a pattern is spoken as; a list of rules is applied in order.

Every pattern is bounded ({1,15} instead of +) and starts at the edge of a word, so that no text, however odd, takes
more than linear time.
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
#: Stands before the name of every letter that is said as a letter ("TV"), so that a voice knows "en" (N) from a word.
LETTER_MARK = "\u2063"

Say = Callable[[re.Match[str], str], str]


class Rule(NamedTuple):
    """`say(match, language)` is what to speak for a match; language is "ms" or "en"."""

    pattern: re.Pattern[str]
    say: Say
    needs: tuple[frozenset[str], ...]  # of each of these sets a text must hold a character


def rule(pattern: str, say: Say, flags: int = 0) -> Rule:
    compiled = re.compile(pattern, flags)
    return Rule(compiled, say, needed_characters(compiled))


def in_one_language(pattern: str, say: Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    """A rule of a module that knows one language only."""
    return rule(pattern, lambda match, language: say(match), flags)


def apply(rules: Iterable[Rule], text: str, language: str) -> str:
    present = set(text)
    for pattern, say, needs in rules:
        for chars in needs:  # most rules end here
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
    return malay if language == "ms" else english


def words(malay: str, english: str) -> Say:
    """A rule's `say` that does not depend on the match."""
    return lambda match, language: pick(language, malay, english)
