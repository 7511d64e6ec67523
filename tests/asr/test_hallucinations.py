"""The guard against hallucinations removes text that models invent, but keeps the same text if it was really said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asr import hallucinations
from asr.transcript import Part
from asr.units import Hypothesis, Options, Phrase
from asr.voice_activity import Segment
from tests import sound

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


TALK = sound.joined([sound.said("selamat pagi semua apa khabar hari ini", rate=150)] * 4)
CAPTIONS = [
    "Terima kasih kerana menonton!",
    "Jangan lupa langgan.",
    "Jangan lupa like dan subscribe",
    "Sari kata oleh Ali",
    "Thanks for listening.",
    "Thank you for watching.",
    "Thanks for watching, see you in the next video",
    "Subscribe now!",
    "Please unsubscribe me.",
    "谢谢观看",
]


def heard(text: str, **changes: float) -> Hypothesis:
    return replace(SURE, text=text, phrases=(Phrase(text, 0.0, 2.0, (1,)),), **changes)


def checked(hypothesis: Hypothesis, *, speech_s: float, audio: sound.Audio | None = None) -> Hypothesis | None:
    """Return a hypothesis as the guard leaves it; None if the guard removes it.

    ``speech_s``: how many seconds of speech the audio contains.
    ``audio``: the audio; by default ``speech_s`` seconds of speech.
    """
    talk = TALK[int(0.3 * sound.RATE) :][: int(speech_s * sound.RATE)]
    return hallucinations.checked(hypothesis, audio=talk if audio is None else audio, speech_s=speech_s)


def test_it_works() -> None:
    assert checked(SURE, speech_s=1.2) == SURE


@pytest.mark.parametrize("text", CAPTIONS)
def test_spoken_captions_are_kept(text: str) -> None:
    for logprob in (-0.3, -0.6, -0.9):
        assert checked(heard(text, avg_logprob=logprob), speech_s=2.5) is not None


@pytest.mark.parametrize("text", CAPTIONS)
def test_captions_without_evidence_in_the_audio_are_removed(text: str) -> None:
    """A single sign that nothing was said is enough to remove the text.

    The signs are a high no-speech probability, a low log probability, too few words for the length of the speech, and
    audio without audible speech.
    """
    assert checked(heard(text, no_speech_prob=0.5), speech_s=2.5) is None
    assert checked(heard(text, avg_logprob=-1.3), speech_s=2.5) is None
    assert checked(heard(text), speech_s=25) is None
    for audio in (sound.hold_music(2.5), sound.noise(2.5), 0.0005 * TALK[: int(2.5 * sound.RATE)]):
        assert checked(heard(text), speech_s=2.5, audio=audio) is None


def test_a_caption_after_speech_is_removed_alone() -> None:
    audio = sound.joined([TALK[: 3 * sound.RATE], sound.noise(3, 0.01)])
    phrases = (Phrase("Selamat pagi semua.", 0.0, 3.0, (1,)), Phrase("Terima kasih kerana menonton.", 3.0, 6.0, (2,)))
    both = replace(SURE, text="Selamat pagi semua. Terima kasih kerana menonton.", phrases=phrases)
    kept = checked(both, speech_s=6, audio=audio)
    assert kept is not None
    assert (kept.text, len(kept.phrases)) == ("Selamat pagi semua.", 1)


def test_the_same_caption_again_needs_more_evidence() -> None:
    said = heard("Thanks for listening.", no_speech_prob=0.3)
    parts = [Part(Segment(0, 2 * sound.RATE, 2 * sound.RATE), said)] * 3
    assert (
        len(hallucinations.remove_invented(parts, lambda start, end: TALK[start + 4800 : end + 4800], Options())) == 1
    )
    sure = [replace(part, hypothesis=heard("Subscribe now.")) for part in parts]
    assert len(hallucinations.remove_invented(sure, lambda start, end: TALK[start + 4800 : end + 4800], Options())) == 3


@pytest.mark.parametrize("text", ["Oh", "you", "I don't know what you're doing", "Merea"])
def test_music_taken_for_speech_has_no_words(text: str) -> None:
    """Music that is taken for speech gives no words.

    The no-speech probability is one that Whisper base gives for such music.
    """
    notes = sound.hold_music(0.6)
    assert checked(heard(text, no_speech_prob=0.55, avg_logprob=-0.7), speech_s=0.6, audio=notes) is None
    assert checked(heard("ya", no_speech_prob=0.2, avg_logprob=-0.8), speech_s=0.6) is not None


@pytest.mark.parametrize("text", ["", "...", "... ... ...", "♪", "-"])
def test_punctuation_alone_is_no_speech(text: str) -> None:
    assert checked(heard(text), speech_s=2) is None


@pytest.mark.parametrize("text", ["Maybank", "Maybank, PETRONAS.", "Perbualan tentang Maybank", "Khairul Petronas"])
def test_hints_without_evidence_in_the_audio_are_removed(text: str) -> None:
    hints = "Perbualan tentang Maybank, Petronas, Khairul"
    echo = heard(text)
    talk = TALK[4800 : 4800 + 2 * sound.RATE]
    assert hallucinations.checked(echo, audio=sound.hold_music(2), speech_s=2, hints=hints) is None
    assert hallucinations.checked(echo, audio=talk, speech_s=2, hints=hints) == echo
    assert hallucinations.checked(echo, audio=sound.hold_music(2), speech_s=2, hints="Genting") == echo


def test_text_that_the_model_itself_calls_silence_is_dropped() -> None:
    assert checked(heard("apa khabar", no_speech_prob=0.9, avg_logprob=-1.4), speech_s=2) is None
    assert checked(heard("apa khabar", no_speech_prob=0.9, avg_logprob=-0.3), speech_s=2) is not None


def test_text_with_more_words_than_can_be_said_is_dropped() -> None:
    assert checked(heard("satu dua tiga empat lima enam tujuh lapan sembilan sepuluh"), speech_s=0.4) is None
    assert checked(heard("ya"), speech_s=0.1) is not None


def test_a_loop_is_cut_to_its_first_turn() -> None:
    looped = heard("saya pergi ke pasar ke pasar ke pasar ke pasar ke pasar ke pasar", compression_ratio=2.9)
    kept = checked(looped, speech_s=8)
    assert kept is not None
    assert kept.text == "saya pergi ke pasar"
    assert kept.phrases[0].text == kept.text


def test_natural_repetition_is_kept() -> None:
    assert checked(heard("ya ya ya betul"), speech_s=2) is not None
