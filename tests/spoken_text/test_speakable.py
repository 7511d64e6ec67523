from __future__ import annotations

import random
import re
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spoken_text.sentences import split_sentences
from spoken_text.speakable import LANGUAGES, detect_language, speakable


def _cases() -> list[tuple[str, str, str]]:
    r"""Return the cases of the table: language, text and spoken form.

    In the file, "\n" in a text is a line feed. A line without tabs, such as "# ...", is a heading.
    """
    lines = Path(__file__).with_name("speakable_cases.tsv").read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if "\t" in line]
    return [(language, text.replace("\\n", "\n"), spoken) for language, text, spoken in rows]


CASES = _cases()
_HAN = re.compile(r"[\u3400-\u9fff\u0b80-\u0bff]")
SPELLED = [case for case in CASES if case[0] in ("ms", "en") and detect_language(case[1], case[0]) in ("ms", "en")]


def test_it_works() -> None:
    assert speakable("**Harga:** RM3.50 😀") == "Harga: tiga ringgit lima puluh sen"


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 260


# Each of these tests checks the whole table, because distributing a test for each row would take longer than it runs.
def test_texts_are_read_as_a_malaysian_would_read_them() -> None:
    said = [(language, text, speakable(text, language)) for language, text, _ in CASES]
    assert [(*one, case[2]) for one, case in zip(said, CASES, strict=True) if one != case] == []


def test_no_digit_or_mark_is_left() -> None:
    marks = re.compile(r"[0-9*#_<>\[\]{}|~^`\\=+%$@&/()\"]")
    assert [spoken for _, _, spoken in SPELLED if marks.search(spoken)] == []


def test_speakable_text_is_unchanged() -> None:
    again = {spoken: speakable(spoken, language) for language, _, spoken in SPELLED}
    assert {spoken: said for spoken, said in again.items() if said != spoken} == {}


@pytest.mark.parametrize(
    "text", ["", " \n ", "😀 👩‍👩‍👧 🇲🇾", "**", "---", "***\n\n---", "[^1]: http://a.b", "<br>", "![](a.png)", "``` "]
)
def test_markup_alone_gives_no_text(text: str) -> None:
    assert speakable(text) == ("blok kod dilangkau." if "```" in text else "")


def test_a_document() -> None:
    text = """# Panduan ke KL 🚆

Hai! **Terima kasih** kerana bertanya:

1. *Tiket* – RM49.00 seorang
2. Hotel: lihat [Booking](https://www.booking.com/my?x=1)
   - Bilik `Deluxe`: RM250/malam

| Bandar | Jarak (km) |
|:-------|-----------:|
| Ipoh   | 205 |

```python
print("hello")
```

> Nota: harga boleh berubah.
"""
    assert speakable(text) == (
        "Panduan ke ke el. Hai! Terima kasih kerana bertanya: satu, Tiket, empat puluh sembilan ringgit seorang. "
        "dua, Hotel: lihat Booking. Bilik Deluxe: dua ratus lima puluh ringgit semalam. "
        "Bandar: Ipoh, Jarak: dua ratus lima kilometer. blok kod dilangkau. Nota: harga boleh berubah."
    )


def test_each_sentence_is_read_in_its_own_language() -> None:
    assert speakable("Saya ada 2 ekor kucing. They are 3 years old.") == (
        "Saya ada dua ekor kucing. They are three years old."
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Saya suka makan nasi lemak.", "ms"),
        ("I like to eat rice.", "en"),
        ("Saya nak order satu burger for my friend ya", "ms"),
        ("我喜欢吃饭。", "zh"),
        ("நான் சாப்பிட விரும்புகிறேன்", "ta"),
        ("OK 5", "ms"),
        ("Had laju ialah 110 km/j.", "ms"),
        ("He had 5 cats.", "en"),
        ("Deadline dia 30/11, so please submit before 5pm", "ms"),
        ("I nak order 2 roti canai, thank you.", "ms"),
        ("Jom lunch kat KLCC, ada promo 20% off.", "ms"),
        ("hi sis, brg ni ready stock x?", "ms"),
        ("Let's go!", "en"),
        ("Thank you.", "en"),
        ("Pay within 30 days.", "en"),
        ("A. Samad Said", "ms"),
        ("你好 bermaksud helo dalam bahasa Mandarin", "ms"),
        ("iPhone 15 வாங்கினேன்", "ta"),
        ("", "ms"),
        ("Lihat https://www.the-and.com/is/the", "ms"),
    ],
)
def test_the_language_of_a_sentence(text: str, language: str) -> None:
    assert detect_language(text, "ms") == language


@given(text=st.text(max_size=300), language=st.sampled_from(LANGUAGES))
@settings(max_examples=300, deadline=None)
def test_any_text_is_accepted(text: str, language: str) -> None:
    spoken = speakable(text, language)
    assert spoken == spoken.strip()
    spoken.encode("utf-8")


@given(text=st.text(alphabet="0123456789.,-/:RM$%x +kmhbag°²()*_#`[]!<>|~^=\\\n'\"@&", max_size=120))
@settings(max_examples=400, deadline=None)
def test_any_mixture_of_marks_is_accepted_and_no_digit_is_left(text: str) -> None:
    assert not re.search(r"\d", speakable(text, "ms"))


_SAYABLE = re.compile(r"[A-Za-z\u00c0-\u024f ,.?!:'’-]*")
_STRANGE = '٣ਪ한ภعЖΩπβ√∞≥≤≈±×÷‰°²³½¾①Ⅳ㎏№™ﷺ😀👍❤🇲🇾…—–−•·→€£¥₹฿₩¢$%&@#*_~^`|<>[]{}()\\/+="“”‘’«»\ud83d\u200b\u202e'


@given(
    parts=st.lists(
        st.one_of(
            st.sampled_from([text for language, text, _ in CASES if language == "ms" and not _HAN.search(text)]),
            st.text(alphabet=_STRANGE + "0123456789abeiknRMJS .,:;?!-'", max_size=12),
            st.sampled_from(["你好", "வணக்கம்", "السلام عليكم", "สวัสดี", "привет", "こんにちは"]),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=400, deadline=None)
def test_a_malay_voice_gets_only_text_that_it_can_speak(parts: list[str]) -> None:
    text = "Saya kata yang ini ialah " + " ".join(part.replace("\n", " ").replace("。", "") for part in parts)
    for sentence in split_sentences(text):
        if detect_language(sentence, "ms") in ("ms", "en"):
            spoken = speakable(sentence, "ms")
            assert _SAYABLE.fullmatch(spoken), spoken


def test_lone_surrogates_are_left_out() -> None:
    assert speakable("a\ud800b") == "ab"


_PARTS = [
    "kata ",
    "Perkataan ",
    "RM1,250.50 ",
    "Dr. Ali ",
    "12/3/2026 ",
    "(nota) ",
    "**tebal** ",
    "[label](https://a.b/c?d=e. F) ",
    "`kod. Lain` ",
    "https://a.com/b.c ",
    "5 km ",
    "😀 ",
    ". ",
    "? ",
    "! ",
    "... ",
    ", ",
    "\n",
    "\n\n",
    "\n# Tajuk\n",
    "\n- perkara ",
    "\n1. pertama ",
    "\n> petikan ",
    "\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n",
    "\n```py\nx = 1. Y\n```\n",
    "\n---\n",
    "The 3 cats are here. ",
    "我喜欢。",
]


@pytest.mark.parametrize("seed", range(150))
def test_sentence_by_sentence_gives_the_same_text_as_the_whole(seed: int) -> None:
    draw = random.Random(seed)
    text = "".join(draw.choice(_PARTS) for _ in range(draw.randint(1, 80)))
    said = [spoken for sentence in split_sentences(text) if (spoken := speakable(sentence))]
    # A sentence without a full stop gets one only if another sentence follows.
    words = re.compile(r"[\s.]+")
    assert words.sub(" ", speakable(text)).strip() == words.sub(" ", " ".join(said)).strip()


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "1,111",
        " ",
        "[",
        "(",
        "`a",
        "<a ",
        "* a",
        "A.",
        "-",
        "1-",
        "a@",
        "a.",
        "$a",
        "\\(",
        "![",
        "[a](",
        "{",
        "?!",
        ".",
        "0",
        "12 34 ",
        "http://",
        "#a",
        "A1",
        "1/",
        "1:1",
        "a\n",
        "a_",
        "| a | b |\n",
        "&a;",
        "a" + " " * 300,
        "RM1-",
        "^1",
    ],
)
@pytest.mark.timeout(30)  # linear time takes a second here; quadratic time would take minutes
def test_hostile_text_takes_bounded_time(unit: str) -> None:
    assert isinstance(speakable((unit * 40_000)[:40_000]), str)


def test_the_command_converts_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from tts.management.commands.speakable import Command

    monkeypatch.setattr("sys.stdin", StringIO("RM5\n\n# Tajuk\n"))
    out = StringIO()
    Command(stdout=out).handle(text=[], language="ms", document=False)
    assert out.getvalue() == "lima ringgit\n\nTajuk.\n"


def test_the_command_takes_an_argument_or_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    from tts.management.commands.speakable import Command

    out = StringIO()
    Command(stdout=out).handle(text=["5", "km"], language="en", document=False)
    monkeypatch.setattr("sys.stdin", StringIO("```\nx\n```\nRM5\n"))
    Command(stdout=out).handle(text=[], language="ms", document=True)
    assert out.getvalue() == "five kilometres\nblok kod dilangkau. lima ringgit\n"
