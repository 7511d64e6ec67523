from __future__ import annotations

from asr.transcript import Part, Transcript, join
from asr.units import Hypothesis, Phrase, Word
from asr.voice_activity import Segment


def part(start_s: float, text: str) -> Part:
    end = len(text) / 10
    return Part(
        Segment(int(start_s * 16_000), int((start_s + end) * 16_000), int(end * 16_000)),
        Hypothesis(
            text=text,
            language="ms",
            language_probability=1.0,
            phrases=(Phrase(text, 0.0, end, (1, 2, 3)),),
            words=tuple(Word(word, 0.1 * i, 0.1 * i + 0.1, 0.9) for i, word in enumerate(text.split())),
            avg_logprob=-0.25,
            compression_ratio=1.1,
            no_speech_prob=0.02,
            temperature=0.0,
        ),
    )


TRANSCRIPT = Transcript(65.5, "ms", parts=[part(0.5, "selamat pagi"), part(3601.25, "jumpa lagi")])


def test_it_works() -> None:
    assert TRANSCRIPT.json() == {"text": "selamat pagi jumpa lagi", "usage": {"type": "duration", "seconds": 66}}


def test_verbose_json_has_what_was_asked_for() -> None:
    body = TRANSCRIPT.verbose_json(["word", "segment"])
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "malay", 65.5)
    assert [(s["id"], s["start"], s["end"], s["text"]) for s in body["segments"]] == [
        (0, 0.5, 1.7, " selamat pagi"),
        (1, 3601.25, 3602.25, " jumpa lagi"),
    ]
    assert body["words"][2] == {"word": "jumpa", "start": 3601.25, "end": 3601.35, "probability": 0.9}
    assert "words" not in TRANSCRIPT.verbose_json([])
    assert "segments" not in TRANSCRIPT.verbose_json(["word"])


def test_subtitles_carry_clock_times() -> None:
    assert TRANSCRIPT.srt() == (
        "1\n00:00:00,500 --> 00:00:01,700\nselamat pagi\n\n2\n01:00:01,250 --> 01:00:02,250\njumpa lagi\n\n"
    )
    assert TRANSCRIPT.vtt().startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.700\nselamat pagi\n\n")


def test_a_long_phrase_becomes_subtitles_that_fit_the_screen() -> None:
    long = Transcript(60, "ms", parts=[part(0, "perkataan " * 25)])
    lines = [line for line in long.srt().splitlines() if "perkataan" in line]
    assert len(lines) > 2
    assert max(map(len, lines)) <= 84


def test_chinese_is_joined_without_spaces() -> None:
    assert join(["你好", "再见"]) == "你好再见"
    assert join(["hai", "", "jumpa"]) == "hai jumpa"
    assert join(["你好。", "Selamat pagi.", "再见"]) == "你好。 Selamat pagi. 再见"


def test_nothing_said_is_an_empty_answer() -> None:
    silent = Transcript(3, "ms")
    assert silent.json()["text"] == ""
    assert silent.srt() == ""
    assert silent.verbose_json([])["segments"] == []
