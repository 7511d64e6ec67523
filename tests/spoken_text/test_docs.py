from __future__ import annotations

import re
from pathlib import Path

import pytest

from spoken_text.speakable import speakable

_PAGE = Path(__file__).parents[2] / "docs" / "spoken-text.md"
EXAMPLES = re.findall(r"^\| (ms|en|zh|ta) \| `(.+)` \| (.+) \|$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_shows_twenty_inputs() -> None:
    assert len(EXAMPLES) == 20


@pytest.mark.parametrize(("language", "written", "said"), EXAMPLES)
def test_the_examples_of_the_page_are_correct(language: str, written: str, said: str) -> None:
    assert speakable(written, language) == said


def test_the_code_of_the_page_runs() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    call, expected = re.findall(r"^(speakable\(.+\))  # '(.+)'$", text, re.MULTILINE)[0]
    assert eval(call, {"speakable": speakable}) == expected
