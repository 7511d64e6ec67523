from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asr.stable_words import Agreement

WORDS = st.lists(st.sampled_from(["saya", "mahu", "pergi", "ke", "kedai"]), max_size=8)


def test_a_word_is_stable_once_two_hypotheses_agree() -> None:
    agreement = Agreement()
    assert agreement.update(["saya", "mau"]) == ["saya", "mau"]
    assert agreement.stable == []
    assert agreement.update(["saya", "mahu", "per"]) == ["saya", "mahu", "per"]
    assert agreement.stable == ["saya"]
    agreement.update(["saya", "mahu", "pergi", "ke"])
    assert agreement.stable == ["saya", "mahu"]


def test_punctuation_and_case_are_ignored() -> None:
    agreement = Agreement()
    agreement.update(["Selamat", "pagi", "semua"])
    agreement.update(["selamat", "pagi,", "semua."])
    assert agreement.stable == ["selamat", "pagi,", "semua."]


def test_words_with_high_probability_need_no_agreement() -> None:
    agreement = Agreement()
    agreement.update(["satu", "dua", "tiga"], certain=2)
    assert agreement.stable == ["satu", "dua"]


@given(st.lists(WORDS, max_size=8))
def test_stable_words_never_change(hypotheses: list[list[str]]) -> None:
    agreement = Agreement()
    before: list[str] = []
    for hypothesis in hypotheses:
        shown = agreement.update(hypothesis)
        assert agreement.stable[: len(before)] == before
        assert shown[: len(agreement.stable)] == agreement.stable
        before = list(agreement.stable)
