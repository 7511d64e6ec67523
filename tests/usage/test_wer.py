from __future__ import annotations

import pytest

from usage.wer import compare


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate", "words"),
    [
        ("Selamat pagi, semua!", "selamat pagi semua", 0.0, 3),
        ("saya suka nasi lemak", "saya suka nasi", 0.25, 4),
        ("satu", "satu dua tiga", 2.0, 1),
        ("satu dua", "", 1.0, 2),
        ("kanak-kanak don’t", "kanak-kanak don't", 0.0, 3),
        ("你好吗", "你好", 1 / 3, 3),
        ("வணக்கம் நண்பா", "வணக்கம் நண்பா", 0.0, 2),
    ],
)
def test_word_error_rate(reference: str, hypothesis: str, rate: float, words: int) -> None:
    found = compare(reference, hypothesis)
    assert (found.word_error_rate, found.reference_words) == (pytest.approx(rate), words)


def test_a_reference_without_words() -> None:
    with pytest.raises(ValueError, match="no words"):
        compare(" ... ", "satu")
