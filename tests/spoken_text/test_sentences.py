from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spoken_text.sentences import MAX_SENTENCE_CHARS, SentenceStream, split_pieces, split_sentences
from tests.spoken_text.paragraphs import PARAGRAPHS


def test_it_works() -> None:
    assert split_sentences("Dr. Mahathir bayar RM3.50. Betul?") == ["Dr. Mahathir bayar RM3.50.", "Betul?"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("  \n\n ", []),
        ("Encik. ", ["Encik."]),
        ("Encik. Ali datang.", ["Encik. Ali datang."]),
        ("Rumah No. 5 di Jln. Ampang. Ya.", ["Rumah No. 5 di Jln. Ampang.", "Ya."]),
        ("Tn. Ahmad, Pn. Siti dan Prof. Lim hadir. Semua.", ["Tn. Ahmad, Pn. Siti dan Prof. Lim hadir.", "Semua."]),
        ("Harganya 3.5 juta. Mahal.", ["Harganya 3.5 juta.", "Mahal."]),
        ("Lihat https://a.com/b.c?d=1. Terima kasih.", ["Lihat https://a.com/b.c?d=1.", "Terima kasih."]),
        ("Buah, e.g. durian. Sedap.", ["Buah, e.g. durian.", "Sedap."]),
        ("Nasi, mi, dll. Semua ada.", ["Nasi, mi, dll.", "Semua ada."]),
        ("Nasi, dll. untuk semua.", ["Nasi, dll. untuk semua."]),
        ("Syarikat ABC Sdn. Bhd. Ia besar.", ["Syarikat ABC Sdn. Bhd.", "Ia besar."]),
        ("Saya... tak tahu. Ya...", ["Saya... tak tahu.", "Ya..."]),
        ("Entahlah… Mungkin.", ["Entahlah…", "Mungkin."]),
        ("Apa?! Betulkah!!! Ya", ["Apa?!", "Betulkah!!!", "Ya"]),
        ("“Betul?” tanya Ali. Ya.", ["“Betul?” tanya Ali.", "Ya."]),
        ('Dia kata, "Saya lapar." Kemudian pergi.', ['Dia kata, "Saya lapar."', "Kemudian pergi."]),
        ("A. Samad Said menulis. Ya.", ["A. Samad Said menulis.", "Ya."]),
        ("Makan vitamin C. Ia baik.", ["Makan vitamin C.", "Ia baik."]),
        ("So do I. Then we go.", ["So do I.", "Then we go."]),
        ("Pukul 3 p.m. Kita pergi.", ["Pukul 3 p.m.", "Kita pergi."]),
        ("saya dah makan. nak tidur", ["saya dah makan.", "nak tidur"]),
        ("你好。今天好吗？好！", ["你好。", "今天好吗？", "好！"]),
        ("Pada tahun 2026. Ya.", ["Pada tahun 2026.", "Ya."]),
        ("# Tajuk besar\nAyat satu. Ayat dua", ["# Tajuk besar", "Ayat satu.", "Ayat dua"]),
        ("## 1. Pengenalan", ["## 1. Pengenalan"]),
        ("- satu\n- dua\n* tiga", ["- satu", "- dua", "* tiga"]),
        ("1. Panaskan minyak. Kacau.\n2. Makan", ["1. Panaskan minyak.", "Kacau.", "2. Makan"]),
        ("Baris satu\nbaris dua. Tiga", ["Baris satu\nbaris dua.", "Tiga"]),
        ("Satu\n\nDua", ["Satu", "Dua"]),
        ("> Petikan\n> panjang. Ya", ["Petikan\npanjang.", "Ya"]),
        ("Atas\n\n---\n\nBawah", ["Atas", "Bawah"]),
        ("a\n```py\nx. Y\n\n# z\n```\nb", ["a", "```py\nx. Y\n\n# z\n```", "b"]),
        ("```\nbelum tutup. Ya", ["```\nbelum tutup. Ya"]),
        ("Lihat [Apa? Ya. Baca](http://a.b/c) ini. Ok.", ["Lihat [Apa? Ya. Baca](http://a.b/c) ini.", "Ok."]),
        ("Guna `a. B` ini. Ok.", ["Guna `a. B` ini.", "Ok."]),
        (
            "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
            ["| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 3 | 4 |"],
        ),
        ("[1]: https://a.b\nYa.", ["Ya."]),
        ("Nama | Umur\n---|---\nAli | 5\n\nYa.", ["| Nama | Umur\n|---|---\n| Ali | 5", "Ya."]),
    ],
)
def test_a_text_is_split(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_there_are_paragraphs_enough() -> None:
    assert len(PARAGRAPHS) >= 24


@pytest.mark.parametrize("sentences", PARAGRAPHS, ids=lambda sentences: sentences[0][:24])
def test_a_paragraph_is_cut_as_a_person_would(sentences: list[str]) -> None:
    joined = "" if sentences[0][-1] in "。！？" or "。" in sentences[0] else " "
    assert split_sentences(joined.join(sentences)) == sentences


@given(
    text=st.lists(st.sampled_from([" ".join(sentences) for sentences in PARAGRAPHS]), min_size=1, max_size=4).map(
        "\n".join
    ),
    cuts=st.lists(st.integers(0, 2000), max_size=40),
)
@settings(max_examples=200, deadline=None)
def test_a_stream_is_split_like_the_whole_text(text: str, cuts: list[int]) -> None:
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    stream = SentenceStream()
    streamed = [sentence for start, end in itertools.pairwise(at) for sentence in stream.push(text[start:end])]
    assert streamed + stream.flush() == split_sentences(text)


@given(
    text=st.text(alphabet='ab AB.1|-\n:#*`[]()!?…🎉😊Drkm"“”No ', max_size=120),
    size=st.integers(1, 9),
)
@settings(max_examples=400, deadline=None)
def test_any_stream_is_split_like_the_whole_text(text: str, size: int) -> None:
    stream = SentenceStream()
    streamed = [sentence for at in range(0, len(text), size) for sentence in stream.push(text[at : at + size])]
    assert streamed + stream.flush() == split_sentences(text)


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    text = "Pada suatu hari yang indah, " * 20 + "tamat."
    pieces = split_pieces(text)
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.text.endswith(",") for piece in pieces[:-1])
    assert all(len(piece.text) <= MAX_SENTENCE_CHARS for piece in pieces)
    assert " ".join(piece.text for piece in pieces) == text


def test_a_long_sentence_without_clauses_is_cut_between_words() -> None:
    text = "perkataan " * 100 + "12 kilometer"
    sentences = split_sentences(text)
    assert all(len(sentence) <= MAX_SENTENCE_CHARS for sentence in sentences)
    assert " ".join(sentences) == text


def test_an_endless_word_is_cut_too() -> None:
    sentences = split_sentences("a" * 1000)
    assert all(len(sentence) <= MAX_SENTENCE_CHARS for sentence in sentences)
    assert "".join(sentences) == "a" * 1000


def test_an_address_is_never_cut() -> None:
    address = "https://contoh.com/" + "a" * 500
    assert split_sentences(f"Lihat {address} sekarang.") == [f"Lihat {address} sekarang."]
    assert split_sentences(f"Lihat [ini]({address}) sekarang.") == [f"Lihat [ini]({address}) sekarang."]


def test_a_sentence_is_returned_as_soon_as_the_next_begins() -> None:
    stream = SentenceStream()
    assert stream.push("Selamat pa") == []
    assert stream.push("gi. ") == []
    assert stream.push("A") == ["Selamat pagi."]
    assert stream.push("pa khabar?\n") == []
    assert stream.push("\n") == ["Apa khabar?"]
    assert stream.push("Bayar RM3") == []
    assert stream.push(".50") == []
    assert stream.flush() == ["Bayar RM3.50"]


def test_a_stream_can_be_used_again_after_flush() -> None:
    stream = SentenceStream()
    stream.push("```\nkod")
    assert stream.flush() == ["```\nkod"]
    assert stream.push("Satu. Dua") == ["Satu."]
    assert stream.flush() == ["Dua"]


# fmt: off
_PARTS = [
    "a", "B", " ", "  ", "\n", "\n\n", ". ", ".", "? ", "!", "1", "2. ", "- ", "# ", "```\n", "`", "~~~", "[", "](",
    "|", "| a | b |\n", "|---|\n", "Dr. ", "kata ", "Perkataan ", "https://x.com/a.b ", "。", "，", "你", "**", "*",
    "> ", "<b>", "<", "\"", " etc. ", ", ", "; ", "(", ")", "[1]: http", "a) ", "\r\n", "…", "...", "【4†a】", "No. ",
    "a | b\n", "---|---\n", "1 | 2\n", "🎉 ",
    "[x](http://a.b) ", "RM1,250.50 ", "12 Mac 2026 ", "**1. ", ">", "\t", "😀", "www.", "5", " — ",
]
# fmt: on


def _streamed(text: str, draw: random.Random, longest: int) -> list[str]:
    stream = SentenceStream()
    sentences = []
    at = 0
    while at < len(text):
        step = draw.randint(1, longest)
        sentences += stream.push(text[at : at + step])
        at += step
    return sentences + stream.flush()


@pytest.mark.parametrize("seed", range(300))
def test_the_result_does_not_depend_on_how_the_text_arrives(seed: int) -> None:
    draw = random.Random(seed)
    wordy = seed % 2
    parts = [*_PARTS, *["kata ", "lagi ", "dan, "] * (20 if wordy else 0)]
    text = "".join(draw.choice(parts) for _ in range(draw.randint(1, 400 if wordy else 60)))
    whole = split_sentences(text)
    for longest in (1, 4, 30):
        assert _streamed(text, draw, longest) == whole


@pytest.mark.parametrize("seed", range(100))
def test_no_word_is_lost(seed: int) -> None:
    draw = random.Random(seed)
    words = ["kata", "Kata", "a.", "b,", "Dr.", "3.5", "(c)", "ya?", "“d”", "\n\n", "tidak!"]
    text = " ".join(draw.choice(words) for _ in range(300))
    assert " ".join(split_sentences(text)).split() == text.split()
