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
            "今天天气很好我们一起去公园散步看到很多人在湖边钓鱼",
            ["今天天气很好,", "我们一起去公园散步看到很多人在湖边钓鱼"],
        ),
        ("医生说他已经好多了但是最好再休息几天才去上班。", ["医生说他,", "已经好多了但是最好再休息几天才去上班。"]),
        ("虽然下雨因为时间还早所以大家都不着急回家", ["虽然下雨,", "因为时间还早所以大家都不着急回家"]),
        ("我" * 50, ["我" * 50]),
    ],
    ids=["pronoun", "verb", "conjunction", "none"],
)
def test_chinese_without_punctuation_is_cut_between_its_phrases(text: str, parts: list[str]) -> None:
    assert first_parts(text) == parts


def test_a_long_chinese_text_without_punctuation_is_cut_between_its_phrases() -> None:
    clause = "我们去公园散步看到很多人钓鱼吧"
    pieces = list(in_pieces(clause * 80))  # 1,200 characters
    assert pieces == [3 * clause] * 26 + [2 * clause]
    assert length(pieces[0]) <= LONGEST_PIECE


@pytest.mark.parametrize("text", ["a" * 4096, "satu dua, tiga " * 300, "我" * 4096, "satu " * 2000, "a,b;" * 500])
def test_long_texts_are_cut_into_pieces_of_limited_length(text: str) -> None:
    pieces = list(in_pieces(text))
    assert max(map(length, pieces)) <= LONGEST_PIECE
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert min(map(length, pieces[:-1])) > 0.7 * LONGEST_PIECE
    assert list(in_pieces("Selamat pagi.")) == ["Selamat pagi."]
    assert list(in_pieces("")) == []
