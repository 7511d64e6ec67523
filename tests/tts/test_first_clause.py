from __future__ import annotations

import pytest

from tts.first_clause import LONGEST_PIECE, PARTS, first_parts, in_pieces, length

SENTENCES = [
    "Selamat pagi, hari ini cuaca di Kuala Lumpur dijangka cerah pada waktu pagi, tetapi hujan pada sebelah petang.",
    "Perpustakaan negara dibuka dari pukul sembilan pagi hingga pukul lima petang setiap hari kecuali pada cuti umum.",
    "The library opens at nine in the morning and closes at five in the afternoon, except on public holidays.",
    "今天天气很好，我们去公园吧，然后我们一起去吃饭，晚上再去看一场新的电影。",
]


@pytest.mark.parametrize("text", SENTENCES)
def test_the_parts_make_up_the_sentence_and_the_first_is_short(text: str) -> None:
    parts = first_parts(text)
    assert len(parts) > 1
    assert length(parts[0]) <= PARTS[0][1] + 1
    assert "".join("".join(parts).replace(",", "").split()) == "".join(text.replace(",", "").split())
    assert all(part[-1] in ",，.。;:" for part in parts)


@pytest.mark.parametrize("text", ["Selamat pagi.", "Ya.", "", "x" * 300, "Terima kasih banyak-banyak semua."])
def test_short_or_unbroken_sentences_stay_whole(text: str) -> None:
    assert first_parts(text) == [text]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Kucing itu tidur di atas kerusi sambil berdengkur.", "Kucing itu,"),
        ("Pekerja kilang itu bekerja mengikut giliran siang dan malam.", "Pekerja kilang itu,"),
        ("Angin kencang menyebabkan beberapa buah rumah kehilangan bumbung.", "Angin kencang,"),
        ("Kereta api terakhir ke Ipoh bertolak lewat malam.", "Kereta api terakhir,"),
        ("Menteri pelajaran baharu mengumumkan cuti tambahan semalam.", "Menteri pelajaran baharu,"),
        ("Orang yang tidak dikenali masuk melalui pintu belakang rumah.", "Orang yang tidak dikenali masuk,"),
    ],
)
def test_a_sentence_without_a_pause_is_cut_between_its_phrases(text: str, first: str) -> None:
    assert first_parts(text)[0] == first


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "今天天气很好而且很多人在湖边钓鱼还有人在公园里放风筝",
            ["今天天气很好,", "而且很多人在湖边钓鱼还有人在公园里放风筝"],
        ),
        ("医生说他好多了但是最好再休息几天才去上班。", ["医生说他好多了,", "但是最好再休息几天才去上班。"]),
        ("虽然下雨因为时间还早大家都不着急回家", ["虽然下雨,", "因为时间还早大家都不着急回家"]),
        ("我" * 50, ["我" * 50]),
    ],
    ids=["addition", "contrast", "reason", "none"],
)
def test_chinese_without_punctuation_is_cut_between_its_phrases(text: str, parts: list[str]) -> None:
    assert first_parts(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "他们成为了好朋友以后经常一起去旅行",
        "我已经把旧的照片都删除了所以找不到",
        "老师给他们讲了一个很长很长的故事呢",
        "体育馆和运动场所以及公园都免费开放了",
        "早餐可以喝一些例如果汁和牛奶这样的饮料",
        "这两家公司决定合并且不再单独出售产品",
        "没有人知道其中的原因为何一直没有公布",
        "这样做不但是浪费时间还会让大家都不高兴",
    ],
)
def test_a_chinese_word_is_not_cut(text: str) -> None:
    assert first_parts(text) == [text]


@pytest.mark.parametrize("text", ["因为公园里面看到很多人在湖边钓鱼", "untuk pergi ke pasar malam sebelum hujan turun"])
def test_spaces_at_the_beginning_are_no_part(text: str) -> None:
    for spaces in range(1, 60):
        assert first_parts(" " * spaces + text) == first_parts(text)


def test_a_long_chinese_text_without_punctuation_is_cut_between_its_phrases() -> None:
    clause = "因为公园里面看到很多人钓鱼吧"
    pieces = list(in_pieces(clause * 80))  # 1,120 characters
    assert pieces == [4 * clause] * 20
    assert length(pieces[0]) <= LONGEST_PIECE


@pytest.mark.parametrize("text", ["a" * 4096, "satu dua, tiga " * 300, "我" * 4096, "satu " * 2000, "a,b;" * 500])
def test_long_texts_are_cut_into_pieces_of_limited_length(text: str) -> None:
    pieces = list(in_pieces(text))
    assert max(map(length, pieces)) <= LONGEST_PIECE
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert min(map(length, pieces[:-1])) > 0.7 * LONGEST_PIECE
    assert list(in_pieces("Selamat pagi.")) == ["Selamat pagi."]
    assert list(in_pieces("")) == []
