"""A short word takes the language of the speech around it, unless it is clearly in another language."""

from __future__ import annotations

import pytest

from asr.language_choice import Evidence, choose, is_sure

MALAY = Evidence(5.0, (("ms", 0.9), ("en", 0.05), ("zh", 0.01)))
ENGLISH = Evidence(3.0, (("en", 0.92), ("ms", 0.01), ("zh", 0.005)))
CHINESE = Evidence(4.0, (("zh", 0.95), ("en", 0.02), ("ms", 0.01)))


def test_it_works() -> None:
    assert choose(MALAY, []) == "ms"
    assert choose(ENGLISH, [MALAY, MALAY]) == "en"
    assert choose(MALAY, [ENGLISH]) == "ms"
    assert choose(CHINESE, [MALAY, ENGLISH, MALAY]) == "zh"


@pytest.mark.parametrize("word", [(("en", 0.5), ("ms", 0.2)), (("zh", 0.3), ("ms", 0.1)), (("en", 0.8), ("ms", 0.06))])
def test_a_short_word_takes_its_neighbours_language(word: tuple[tuple[str, float], ...]) -> None:
    short = Evidence(0.5, word)
    assert choose(short, [MALAY, MALAY]) == "ms"
    assert choose(short, []) == word[0][0]
    assert choose(short, [ENGLISH]) == ("en" if "en" in dict(word) else word[0][0])
    assert choose(MALAY, [short, short]) == "ms"


def test_a_short_answer_clearly_in_another_language_keeps_it() -> None:
    assert choose(Evidence(1.2, (("en", 0.97), ("ms", 0.004))), [MALAY, MALAY]) == "en"


def test_a_certain_language_does_not_depend_on_neighbours() -> None:
    assert is_sure(MALAY)
    assert is_sure(Evidence(0.3, (("ms", 1.0),)))
    assert not is_sure(Evidence(0.5, (("en", 0.8), ("ms", 0.06))))
    for neighbour in (MALAY, ENGLISH, CHINESE):
        for own in (MALAY, ENGLISH, CHINESE):
            if is_sure(own):
                assert choose(own, [neighbour] * 9) == choose(own, [])
