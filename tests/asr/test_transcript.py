from __future__ import annotations

import dataclasses
import html
import re

import pytest

from asr.transcript import Part, Transcript, join
from asr.units import Hypothesis, Phrase, Token, Word
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


def test_verbose_json_has_the_requested_fields() -> None:
    body = TRANSCRIPT.verbose_json(["word", "segment"])
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "malay", 65.5)
    assert [(s["id"], s["start"], s["end"], s["text"]) for s in body["segments"]] == [
        (0, 0.5, 1.7, " selamat pagi"),
        (1, 3601.25, 3602.25, " jumpa lagi"),
    ]
    assert body["words"][2] == {"word": "jumpa", "start": 3601.25, "end": 3601.35, "probability": 0.9}
    assert "words" not in TRANSCRIPT.verbose_json([])
    assert "segments" not in TRANSCRIPT.verbose_json(["word"])


@pytest.mark.parametrize(("length_s", "end_s"), [(1.0, 1.0), (0.2, 0.5)])
def test_times_lie_within_the_audio_and_the_segment(length_s: float, end_s: float) -> None:
    cut = part(0.5, "selamat pagi").within(int(length_s * 16_000))
    assert cut.segment.end == end_s * 16_000
    assert cut.phrases[-1].end == end_s
    assert all(0.5 <= word.start <= word.end <= end_s for word in cut.words)


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


def test_silence_gives_an_empty_answer() -> None:
    silent = Transcript(3, "ms")
    assert silent.json()["text"] == ""
    assert silent.srt() == ""
    assert silent.verbose_json([])["segments"] == []


@pytest.mark.parametrize(
    "text", ["Jabatan R&D <baru> --> siap", "a --> b", "<i>miring</i> & tebal", "1 < 2 > 0 -->", "AT&amp;T"]
)
def test_vtt_escapes_markup(text: str) -> None:
    cue = Transcript(9, "ms", parts=[part(0, text)]).vtt().split("\n", 3)[3]
    assert "-->" not in cue
    assert html.unescape(cue).strip() == text
    assert not re.search(r"<|>|&(?!amp;|lt;|gt;)", cue)


@pytest.mark.parametrize(
    "text", ["satu\n\ndua", "satu\r\n\r\n3\n00:00:01,000 --> 00:00:02,000\ntiga", "a\u2028\u2029b"]
)
def test_an_srt_cue_has_no_blank_line_and_one_arrow(text: str) -> None:
    blocks = Transcript(9, "ms", parts=[part(0, text)]).srt().rstrip("\n").split("\n\n")
    assert len(blocks) == 1
    assert blocks[0].count("-->") == 1


@pytest.mark.parametrize(
    ("sound_s", "seconds"), [(0.2, 1), (1.0, 1), (1.01, 2), (2.632, 3), (65.5, 66), (3600.0, 3600)]
)
def test_usage_is_rounded_up_to_seconds(sound_s: float, seconds: int) -> None:
    assert Transcript(7200, "ms", sound_s=sound_s).usage()["seconds"] == seconds


def spoken(language: str, seconds: int) -> Part:
    made = part(0, "x")
    segment = Segment(0, 16_000 * seconds, 16_000 * seconds)
    return Part(segment, dataclasses.replace(made.hypothesis, language=language))


def test_the_language_is_the_one_spoken_longest() -> None:
    mixed = Transcript(
        9, "ms", detected=True, parts=[spoken("en", 2), spoken("ms", 3), spoken("en", 2), spoken("zh", 1)]
    )
    assert mixed.language == "en"
    assert mixed.verbose_json([])["languages"] == [{"code": "en"}, {"code": "ms"}, {"code": "zh"}]
    assert [segment["language"] for segment in mixed.verbose_json([])["segments"]] == [
        "english",
        "malay",
        "english",
        "chinese",
    ]
    asked_for = Transcript(9, "ta", parts=[spoken("ta", 2)])
    assert asked_for.verbose_json([])["languages"] == [{"code": "ta"}]
    assert Transcript(9, "ms", detected=True).language == "ms"


def test_log_probabilities_as_openai_lists_them() -> None:
    tokens = (Token(1, b" hai", -0.1), Token(2, b"\xe4\xbd", -0.7))
    made = part(0, "hai")
    body = Transcript(1, "ms", parts=[Part(made.segment, dataclasses.replace(made.hypothesis, tokens=tokens))])
    assert body.json(logprobs=True)["logprobs"] == [
        {"token": " hai", "logprob": -0.1, "bytes": [32, 104, 97, 105]},
        {"token": "bytes:\\xe4\\xbd", "logprob": -0.7, "bytes": [228, 189]},
    ]
    assert "logprobs" not in body.json()
