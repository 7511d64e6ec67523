"""Find characters that a text must contain for a regular expression to match.

There are more than three hundred rules (``spoken_text.rules``), and a sentence needs only a few of them. A rule is
skipped, without a search, if the text lacks the characters that its pattern needs. Python's own regular-expression
parser, ``re._parser``, finds these characters. The parser is a private module. In a Python version without it, no rule
is skipped.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

Characters = frozenset[str]

_DIGITS = frozenset("0123456789")
_MAX_CHARS = 40  # larger sets are left out, because nearly every text has one of their characters
_MAX_SETS = 3


def needed_characters(pattern: re.Pattern[str]) -> tuple[Characters, ...]:
    """Return sets of characters, with the rarest set first. A text can match only if it has a character of each set.

    Lookarounds are taken into account. ``\\d`` counts as the ASCII digits, because all other digits have been replaced
    before rules are applied.
    """
    try:
        parsed = import_module("re._parser").parse(pattern.pattern, pattern.flags)
    except (ImportError, AttributeError):
        return ()
    found = set(_of_sequence(parsed))
    if pattern.flags & re.IGNORECASE:
        found = {_in_both_cases(chars) for chars in found}
    return tuple(sorted(found, key=_commonness)[:_MAX_SETS])


def _in_both_cases(chars: Characters) -> Characters:
    return chars | {char.lower() for char in chars} | {char.upper() for char in chars}


def _of_sequence(items: Any) -> list[Characters]:
    return [chars for item in items for chars in _of_item(*item)]


def _of_item(kind: Any, value: Any) -> list[Characters]:
    name = str(kind)
    if name == "LITERAL":
        return [frozenset(chr(value))]
    if name == "IN":
        return _of_class(value)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _of_sequence(value[2]) if value[0] else []
    if name == "SUBPATTERN":
        found = _of_sequence(value[-1])
        return [_in_both_cases(chars) for chars in found] if value[1] & re.IGNORECASE else found
    if name == "ATOMIC_GROUP":
        return _of_sequence(value)
    if name == "ASSERT":
        return _of_sequence(value[1])
    if name == "BRANCH":
        return _of_branches([_of_sequence(branch) for branch in value[1]])
    return []


def _of_branches(branches: list[list[Characters]]) -> list[Characters]:
    """Return the set for an alternation (``a|b``), in a list: the union of the rarest set of each branch.

    Return [] if any branch has no set.
    """
    if not all(branches):
        return []
    return [frozenset().union(*(min(branch, key=_commonness) for branch in branches))]


def _of_class(members: Any) -> list[Characters]:
    chars: set[str] = set()
    for kind, value in members:
        name = str(kind)
        if name == "LITERAL":
            chars.add(chr(value))
        elif name == "RANGE" and value[1] - value[0] <= _MAX_CHARS:
            chars |= {chr(code) for code in range(value[0], value[1] + 1)}
        elif name == "CATEGORY" and str(value) == "CATEGORY_DIGIT":
            chars |= _DIGITS
        else:
            return []
    return [frozenset(chars)] if len(chars) <= _MAX_CHARS else []


def _commonness(chars: Characters) -> int:
    """Return a rough measure of how often texts contain one of ``chars``.

    Symbols are rarest, then capitals, digits, and lower-case letters or spaces.
    """
    return sum(map(_weight, chars))


def _weight(char: str) -> int:
    if char.islower() or char.isspace():
        return 20
    return 6 if char.isdigit() else 3 if char.isupper() else 2
