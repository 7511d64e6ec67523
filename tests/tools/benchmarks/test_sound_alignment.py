"""Malay sounds that were not recognised are counted from a text and its transcript."""

from __future__ import annotations

import pytest

from tools.benchmarks.sound_alignment import PEPET, TALING, missed_sounds, sounds_of


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("belanja", [PEPET, "final a"]),
        ("ekor", [TALING, "r"]),
        ("menyanyi", [PEPET, "ny", "ny"]),
        ("syarikat", ["r", "sy"]),
        ("khidmat", ["kh"]),
        ("ramai", ["r", "diphthong"]),
        ("masuk", ["final k"]),
    ],
)
def test_the_sounds_of_a_word(word: str, kinds: list[str]) -> None:
    assert [kind for kind, _start, _end in sounds_of(word)] == kinds


def test_missed_sounds_are_counted() -> None:
    said = "pelancong gemar membeli songket"
    heard = "palanchong gamar membeli sonket"
    missed = missed_sounds([(said, heard), ("file itu", "fail itu"), ("ya", "")])
    assert missed[PEPET] == (2, 4)
    assert missed[TALING] == (0, 1)
    assert missed["ng"] == (1, 2)
    assert missed["final a"] == (1, 1)
