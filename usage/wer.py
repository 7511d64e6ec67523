"""Word error rate of a transcript against what was really said."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import jiwer

# Chinese is written without spaces: each character counts as a word, as is usual for it.
_HAN = re.compile(r"([\u3400-\u9fff\uf900-\ufaff])")
_IN_WORDS = ("L", "M", "N")  # letters, marks (Tamil's vowel signs are such) and numbers, as Unicode classes them


@dataclass(frozen=True)
class Comparison:
    """``word_error_rate`` is a share of ``reference_words``; many inserted words take it above 1."""

    word_error_rate: float
    reference_words: int


def words(text: str) -> list[str]:
    """The words that count: without case, punctuation or differences of Unicode composition."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    kept = "".join(char if char in "'-" or unicodedata.category(char)[0] in _IN_WORDS else " " for char in folded)
    spaced = _HAN.sub(r" \1 ", kept)
    return [word for word in (word.strip("'-") for word in spaced.split()) if word]


def compare(reference: str, hypothesis: str) -> Comparison:
    """Raises ``ValueError`` when the reference has no words."""
    said, heard = words(reference), words(hypothesis)
    if not said:
        raise ValueError("the reference has no words")
    return Comparison(jiwer.wer(" ".join(said), " ".join(heard)), len(said))
