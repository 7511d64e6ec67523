"""Detection of texts that repeat themselves, and of texts that are too long for the duration of the audio."""

from __future__ import annotations

import pytest

from asr.repetition import MAX_PACE, MAX_REPEATED_PACE, Repetition, pace, repetition


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The hotel was huge. The hotel was huge", Repetition(0, 4, 2, 8)),
        ("給我來個張傑最新的歌給我來個張傑最新的歌", Repetition(0, 10, 2, 20)),
        ("Tidak, bulan berhenti berhenti berhenti berhenti", Repetition(2, 1, 4, 6)),
        ("வணக்கம் நண்பர்களே வணக்கம் நண்பர்களே", Repetition(0, 2, 2, 4)),
        ("He looks. He looks. He looks like", Repetition(0, 2, 3, 7)),
        ("Ha ha ha ha ha ha ha ha ha ha", Repetition(0, 1, 10, 10)),
        (
            "One moment, I will check your account. It starts at nine. One moment, I will check your account. It ends.",
            Repetition(0, 11, 2, 20),
        ),
        ("我们今天去公园玩吧好吗我们今天去公园玩吧", Repetition(0, 11, 2, 20)),
        (
            "saya mahu pergi ke pasar esok pagi dengan ibu saya mahu pergi ke pasar esok pagi juga",
            Repetition(0, 9, 2, 17),
        ),
    ],
)
def test_it_works(text: str, found: Repetition) -> None:
    assert repetition(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ya ya",
        "tak tak tak",
        "bergantung, bergantung kepada bank",
        "dua puluh dua ringgit dua puluh sen",
        "rumah-rumah dan kereta-kereta di jalan-jalan",
        "good morning good morning everybody and welcome to our show",
        "saya nak dua biji telur dan saya nak satu roti canai dengan kuah",
        "the first one is in the kitchen and the second one is in the garden",
    ],
)
def test_natural_repetition_is_no_loop(text: str) -> None:
    assert repetition(text) is None


def test_more_words_than_can_be_said_are_a_loop() -> None:
    """A fast sentence in each language is below the limit on the speaking rate.

    The same sentence twice in the same time is above it.
    """
    spoken = {"The hotel was huge.": 1.3, "给我来个张杰最新的歌": 2.2, "எனக்கு ஒரு உதவி வேண்டும்": 1.9}
    for text, seconds in spoken.items():
        assert pace(text, seconds) <= MAX_REPEATED_PACE
        assert pace(f"{text} {text}", seconds) > MAX_REPEATED_PACE
    assert pace("ha " * 10, 2.25) <= MAX_REPEATED_PACE
    assert pace("ha " * 60, 2.25) > MAX_PACE
