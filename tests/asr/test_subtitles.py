"""Subtitle cues are readable: at most two lines of 42 columns, for a few seconds, in any script."""

from __future__ import annotations

import itertools

import pytest

from asr.subtitles import LINE_COLUMNS, MAX_CUE_S, columns, cues
from asr.units import Phrase

TEXTS = {
    "zh": "今天我们来谈谈马来西亚的天气和交通情况，因为最近几个星期的大雨，许多道路都被水淹没了，"
    "政府已经派出救援队伍帮助受灾的居民，学校也暂时关闭，希望大家注意安全，不要随意外出。",
    "ja": "こんにちは、今日は天気がとてもいいですね。明日も晴れるといいのですが、"
    "天気予報によると雨が降るかもしれないそうです。",
    "mixed": "我们用 WhatsApp 和 Kubernetes 部署 version 2.0，然后 restart server，请 update password 再 login。" * 2,
    "ms": "Pada hari ini kita akan bercakap tentang cuaca dan lalu lintas di Malaysia, kerana hujan lebat " * 3,
    "ta": "இன்று நாம் மலேசியாவின் வானிலை மற்றும் போக்குவரத்து நிலைமை பற்றி பேசுவோம் " * 4,
    "ko": "오늘은 말레이시아의 날씨와 교통 상황에 대해 이야기하겠습니다 " * 4,
    "long word": "https://example.com/" + "a" * 120,
    "wide word": "啊" * 100,
}


def phrase(text: str, start: float = 0.0, end: float = 28.0) -> Phrase:
    return Phrase(text, start, end, ())


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("name", list(TEXTS))
@pytest.mark.parametrize("seconds", [4.0, 28.0])
def test_it_works(name: str, seconds: float) -> None:
    made = cues([phrase(TEXTS[name], 3.0, 3.0 + seconds)])
    assert squeezed("".join("".join(cue.lines) for cue in made)) == squeezed(TEXTS[name])
    for cue in made:
        assert 1 <= len(cue.lines) <= 2
        assert max(map(columns, cue.lines)) <= LINE_COLUMNS
        assert 0 < cue.end - cue.start <= MAX_CUE_S + 0.01
    assert all(before.end <= after.start for before, after in itertools.pairwise(made))
    assert made[0].start == 3.0
    assert 3.0 + seconds - 0.01 <= made[-1].end <= 3.0 + seconds + 0.8


@pytest.mark.parametrize("name", ["zh", "ja", "mixed"])
def test_lines_follow_the_rules_for_line_breaks_in_chinese(name: str) -> None:
    for cue in cues([phrase(TEXTS[name])]):
        for line in cue.lines:
            assert line[0] not in "，。！？；：、）」』】》ぁぃぅぇぉっゃゅょー"
            assert line[-1] not in "（「『【《"


@pytest.mark.parametrize("word", ["WhatsApp", "Kubernetes", "2.0", "password"])
def test_words_within_chinese_stay_whole(word: str) -> None:
    assert sum(line.count(word) for cue in cues([phrase(TEXTS["mixed"])]) for line in cue.lines) == 2


def test_short_texts_stay_as_they_are() -> None:
    assert [(cue.lines, cue.start, cue.end) for cue in cues([phrase("selamat pagi", 1, 2.2)])] == [
        (("selamat pagi",), 1, 2.2)
    ]


def test_a_word_is_not_shown_for_half_a_minute() -> None:
    [cue] = cues([phrase("ya", 0, 28)])
    assert cue.end == MAX_CUE_S


def test_a_short_cue_is_extended_unless_another_follows() -> None:
    made = cues([phrase("ya", 1.0, 1.1), phrase("betul", 1.4, 2.5), phrase("ok", 9.0, 9.0)])
    assert [(cue.start, round(cue.end, 2)) for cue in made] == [(1.0, 1.4), (1.4, 2.5), (9.0, 9.8)]


def test_overlapping_phrases_become_consecutive_cues() -> None:
    made = cues([phrase("satu", 0, 3), phrase("dua", 2.5, 4)])
    assert made[1].start >= made[0].end
