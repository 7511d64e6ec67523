"""Turn a language model's text into speakable text: the words and pauses with which a person would read it aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spoken_text.abbreviations import SHORT_FORMS
from spoken_text.acronyms import ACRONYMS, unshout
from spoken_text.characters import plain_characters, tidy, tidy_spaces, without_emoticons
from spoken_text.chat import CHAT, TWICE
from spoken_text.dates import DATES, NAMED_DAYS, YEARS
from spoken_text.identifiers import CODES, IDENTIFIERS
from spoken_text.language import detect_language
from spoken_text.links import LINKS
from spoken_text.mandarin import RULES as MANDARIN
from spoken_text.markdown import plain_pieces
from spoken_text.maths import MATHS, RANGES, SIGNED, TIME_RANGES
from spoken_text.money import MONEY
from spoken_text.numbers import FRACTIONS, LONG_RUNS, NUMBERS, ORDINALS, SCALES, SIGNS
from spoken_text.roman import ROMANS
from spoken_text.rules import LETTER_MARK, apply
from spoken_text.sentences import Piece, split_pieces
from spoken_text.tamil import RULES as TAMIL
from spoken_text.times import DURATIONS, PARTS, TIMES
from spoken_text.units import EACH, LONE_UNITS, UNITS

__all__ = ["LANGUAGES", "detect_language", "speakable"]

LANGUAGES = ("ms", "en", "zh", "ta")
_IN_OTHER_SCRIPTS = {"zh": MANDARIN, "ta": TAMIL}

_DIGIT = re.compile(r"\d")
_SAYABLE = re.compile(r"[^\W_]|[%°$€£¥&+=<>@~∑√∞≥≤≠≈±×÷‰ﷺﷻ¼-¾⅐-⅞]|```|~~~")
_PAUSES = ".?!:,。？！：，；"

# More specific rules come first: "RM5-10" before "5-10" before "5".
_WITH_DIGITS = [
    *LONG_RUNS,
    *IDENTIFIERS,
    *SIGNED,
    *DATES,
    *PARTS,
    *TIME_RANGES,
    *DURATIONS,
    *TIMES,
    *EACH,
    *RANGES,
    *MONEY,
    *ORDINALS,
    *FRACTIONS,
    *SIGNS,
    *UNITS,
    *YEARS,
]
_NUMBERS = [*SCALES, *CODES, *NUMBERS]


def speakable(text: str, language: str = "ms", *, letters: bool = False) -> str:
    """Return the words and punctuation to be spoken for a text, or "" if there is nothing to say.

    ``text``: Markdown. Any string is accepted.
    ``language``: "ms", "en", "zh" or "ta"; the language of sentences whose language cannot be detected.
    ``letters``: whether to put a LETTER_MARK before the name of every spelled letter.
    """
    spoken = _spoken(text, language)
    return spoken if letters else spoken.replace(LETTER_MARK, "")


def _spoken(text: str, language: str) -> str:
    spoken = ""
    complete = True
    for piece in _pieces(text):
        if said := _speak(piece.text, language):
            if spoken:
                spoken += " " if complete else ". "
            spoken += said
            complete = said[-1] in _PAUSES or not piece.ends
    return spoken


def _pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of a text (see ``sentences``).

    A piece that begins with a symbol is split once more, because some symbols are Markdown only at the start of a text.
    In "Ya. > Tidak", for example, the ">" becomes a block-quote mark.
    """
    for piece in split_pieces(text):
        if piece.text[:1].isalnum() or piece.text[:1] == "|":
            yield piece
        else:
            yield from split_pieces(piece.text)


def _speak(piece: str, language: str) -> str:
    if not _SAYABLE.search(piece):
        return ""
    return " ".join(filter(None, (_read(text, language) for text in plain_pieces(without_emoticons(piece), language))))


def _read(text: str, language: str) -> str:
    """Return the speakable form of a text without markup: at most one sentence, or one row of a table."""
    text = re.sub(r"\s+", " ", plain_characters(text))
    language = detect_language(text, language)
    text = apply(LINKS, text, language)
    if language in _IN_OTHER_SCRIPTS:
        return tidy_spaces(apply(_IN_OTHER_SCRIPTS[language], text, language))
    text = apply([*SHORT_FORMS, *TWICE, *NAMED_DAYS], unshout(text), language)
    has_digits = bool(_DIGIT.search(text))
    if has_digits:
        text = apply(_WITH_DIGITS, text, language)
    text = apply(CHAT, apply(ROMANS, apply([*LONE_UNITS, *MATHS], text, language), language), language)
    if has_digits:
        text = apply(_NUMBERS, text, language)
    return tidy(apply(ACRONYMS, text, language))
