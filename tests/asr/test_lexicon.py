from __future__ import annotations

import pytest

from asr.lexicon import Lexicon, retimed
from asr.units import Word

LEXICON = Lexicon(
    {"bunga": 20, "api": 30, "dengan": 900, "apa": 400, "di": 2000, "dibazirkan": 3, "masa": 200, "itu": 800},
    suffixes=["nya", "lah"],
)


@pytest.mark.parametrize(
    ("heard", "spaced"),
    [
        ("bungaapi", "bunga api"),
        ("dengan apa", "dengan apa"),
        ("denganapa itu", "dengan apa itu"),
        ("di bazirkan", "dibazirkan"),
        ("masa itu", "masa itu"),
        ("sumazau", "sumazau"),
        ("api nya", "apinya"),
        ("masalah itulah", "masalah itulah"),
        ("asyah mengail haruan", "asyah mengail haruan"),
        ("", ""),
    ],
)
def test_it_works(heard: str, spaced: str) -> None:
    assert LEXICON.spaced(heard) == spaced


def test_letters_are_never_changed() -> None:
    heard = "masaituangkatan bunga-apidi zzzz apaapa"
    assert LEXICON.spaced(heard).replace(" ", "") == heard.replace(" ", "")


def test_times_follow_the_letters() -> None:
    words = [Word("bungaapi", 1.0, 1.8, 0.5), Word("i", 2.0, 2.1, 0.9), Word("tu", 2.1, 2.3, 0.9)]
    cut = retimed(words, "bunga api itu")
    assert [(word.text, round(word.start, 2), round(word.end, 2)) for word in cut] == [
        ("bunga", 1.0, 1.5),
        ("api", 1.5, 1.8),
        ("itu", 2.0, 2.3),
    ]
    assert retimed(words, "bunga api itulah") == tuple(words)
