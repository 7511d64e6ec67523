"""Both the length of the spoken text and the time to make it are limited by the length of the input.

``hostile.py`` prints the figures.
"""

from __future__ import annotations

import pytest

from spoken_text.sentences import MAX_HEAD_CHARS, MAX_REPEATED_HEAD_CHARS
from spoken_text.speakable import speakable
from tests.spoken_text.hostile import measure, patterns

CHARS = 4096
MAX_SAID_PER_CHARACTER = 20
CATASTROPHE_MS = 3000  # a busy machine needs a few hundred; a regular expression that backtracks needs minutes


def test_there_are_at_least_two_hundred_patterns() -> None:
    assert len(patterns(CHARS)) >= 200


@pytest.mark.parametrize("text", patterns(CHARS), ids=lambda text: ascii(text[:16]))
def test_patterns_take_bounded_time_and_give_bounded_text(text: str) -> None:
    milliseconds, said_per_character = measure(text)
    assert said_per_character < MAX_SAID_PER_CHARACTER
    assert milliseconds < CATASTROPHE_MS


def test_a_long_table_header_is_not_repeated() -> None:
    head = "| " + "kepala " * (MAX_HEAD_CHARS // 7 + 1) + "|"
    assert speakable(f"{head}\n|---|\n| satu |\n| dua |") == "satu. dua."


def test_a_table_header_is_repeated_up_to_a_limit() -> None:
    rows = ["| Ipoh | 205 |"] * (MAX_REPEATED_HEAD_CHARS // 16 + 50)
    spoken = speakable("| Bandar | Km |\n|---|---|\n" + "\n".join(rows))
    assert spoken.startswith("Bandar: Ipoh, Km: dua ratus lima. Bandar: Ipoh,")
    assert spoken.endswith("Ipoh, dua ratus lima. Ipoh, dua ratus lima.")


def test_a_long_column_name_is_omitted() -> None:
    name = "lajur yang namanya sangat panjang sehingga tiada siapa mahu mendengarnya"
    assert speakable(f"| Nama | {name} |\n|---|---|\n| Ali | 5 |") == "Nama: Ali, lima."
