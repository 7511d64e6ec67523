"""What models invent, and what people really say and must not lose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asr.guard import checked
from asr.units import Hypothesis, Phrase

SURE = Hypothesis(
    text="terima kasih",
    language="ms",
    language_probability=1.0,
    phrases=(Phrase("terima kasih", 0.0, 1.2, (1, 2)),),
    words=(),
    avg_logprob=-0.2,
    compression_ratio=0.9,
    no_speech_prob=0.01,
    temperature=0.0,
)


def heard(text: str, **changes: float) -> Hypothesis:
    return replace(SURE, text=text, phrases=(Phrase(text, 0.0, 2.0, (1,)),), **changes)


def test_it_works() -> None:
    assert checked(SURE, speech_s=1.2) == SURE


@pytest.mark.parametrize(
    "text",
    [
        "Terima kasih kerana menonton!",
        "Thank you for watching.",
        "Thanks for watching, see you in the next video",
        "Jangan lupa like dan subscribe",
        "Sari kata oleh Ali",
        "谢谢观看",
    ],
)
def test_captions_are_dropped_unless_they_were_clearly_said(text: str) -> None:
    assert checked(heard(text, avg_logprob=-0.9), speech_s=3) is None
    assert checked(heard(text), speech_s=0.6) is None
    assert checked(heard(text), speech_s=2.5) is not None


def test_silence_by_the_models_own_judgement_is_dropped() -> None:
    assert checked(heard("apa khabar", no_speech_prob=0.9, avg_logprob=-1.4), speech_s=2) is None
    assert checked(heard("apa khabar", no_speech_prob=0.9, avg_logprob=-0.3), speech_s=2) is not None


def test_more_words_than_anybody_can_say_are_dropped() -> None:
    assert checked(heard("satu dua tiga empat lima enam tujuh lapan sembilan sepuluh"), speech_s=0.4) is None
    assert checked(heard("ya"), speech_s=0.1) is not None


def test_a_loop_is_cut_to_its_first_turn() -> None:
    looped = heard("saya pergi ke pasar ke pasar ke pasar ke pasar ke pasar ke pasar", compression_ratio=2.9)
    kept = checked(looped, speech_s=8)
    assert kept is not None
    assert kept.text == "saya pergi ke pasar"
    assert kept.phrases[0].text == kept.text


def test_repetition_that_people_say_stays() -> None:
    assert checked(heard("ya ya ya betul"), speech_s=2) is not None
