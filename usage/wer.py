"""Word error rate of a transcript against what was really said, by the same rules as ``manage.py evaluate_asr``."""

from __future__ import annotations

from dataclasses import dataclass

import jiwer

from spoken_text.normalise import normalise


@dataclass(frozen=True)
class Comparison:
    """``word_error_rate`` is a share of ``reference_words``; many inserted words take it above 1."""

    word_error_rate: float
    reference_words: int


def compare(reference: str, hypothesis: str) -> Comparison:
    """Raises ``ValueError`` when the reference has no words."""
    said, heard = normalise(reference), normalise(hypothesis)
    if not said:
        raise ValueError("the reference has no words")
    return Comparison(jiwer.wer(said, heard), len(said.split()))
