"""The phonemes of words: letters, e pepet and e taling, names, English words in Malay sentences, other scripts.

eSpeak NG provides the phonemes of English words.
"""

from __future__ import annotations

import re
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spoken_text.pronunciation import LETTER_MARK, SpokenWord, phonemes, words
from spoken_text.pronunciation.lexicon import lexicon
from spoken_text.speakable import speakable
from tests.spoken_text.pronunciation_words import MANGLISH, NAMES, WORDS
from tts import espeak
from tts.kokoro_symbols import symbols

LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "e bi si di i ɛf dʒi hɛtʃ aɪ dʒe ke ɛl ɛm ɛn o pi kju ar ɛs ti ju vi dabəlju ɛks waɪ zɛt".split(),
        strict=True,
    )
)
# The symbols of the neural voice, with affricates and diphthongs as two letters each.
SYMBOLS = frozenset("abdefhijklmnoprstuvwxzæðŋɐɑɒɔəɚɛɜɡɣɪɲɹɾʃʊʌʒʔθᵻˈˌː\u0329")

english = partial(espeak.phonemes, voice="en-us")


def sounds(text: str, language: str = "ms") -> str:
    """Return the IPA of ``text``, without stress marks."""
    said = phonemes(text, language, english=english)
    return " ".join(word.ipa for word in said).replace("ˈ", "").replace("ˌ", "")


def spoken(text: str) -> list[SpokenWord]:
    return phonemes(speakable(text, letters=True), english=english)


@pytest.mark.parametrize("letter", LETTERS)
def test_every_letter_has_its_name(letter: str) -> None:
    said = spoken(f"Blok {letter.upper()}Q")
    assert [word.ipa.replace("ˈ", "") for word in said if word.letter] == [LETTERS[letter], LETTERS["q"]]


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("TV3", "tv"),
        ("TNB", "tnb"),
        ("LHDN", "lhdn"),
        ("K-pop", "k"),
        ("E-mel saya", "e"),
        ("vitamin C", "c"),
        ("A4", "a"),
    ],
)
def test_letters_in_and_out_of_words(text: str, letters: str) -> None:
    said = [word.ipa.replace("ˈ", "") for word in spoken(f"Ini {text} itu") if word.letter]
    assert said == [LETTERS[letter] for letter in letters]


def test_the_names_of_letters_are_words_too() -> None:
    assert sounds("ke di bi") == "kə di bi"
    assert sounds(f"{LETTER_MARK}ke {LETTER_MARK}di {LETTER_MARK}i") == "ke di i"


def test_there_are_three_hundred_words() -> None:
    assert len(WORDS) >= 300
    assert len(NAMES) >= 60
    assert sum(line.count("*") for line in MANGLISH) >= 100


def test_e_and_schwa_are_distinguished() -> None:
    wrong = {word: sounds(word.replace("é", "e")) for word in WORDS if not _has_its_e(word)}
    assert wrong == {}


def _has_its_e(word: str) -> bool:
    wanted = re.findall("[aeéiou]", word)
    said = re.findall("[aeəɛiɪoʊu]", sounds(word.replace("é", "e")))
    sound_of = {"e": "ə", "é": "e"}
    return len(said) == len(wanted) and all(
        sound == sound_of[letter] for sound, letter in zip(said, wanted, strict=True) if letter in sound_of
    )


@pytest.mark.parametrize("name", NAMES)
def test_names_of_places_and_people(name: str) -> None:
    assert sounds(name) == NAMES[name]


@pytest.mark.parametrize("line", MANGLISH)
def test_english_words_are_found(line: str) -> None:
    said = phonemes(line.replace("*", ""), english=english)
    assert [word.language == "en" for word in said] == [word.startswith("*") for word in line.split()]
    assert all(word.ipa for word in said)


@pytest.mark.parametrize(
    "text", ["Had laju", "dan dia pun main air", "dua jam", "kit itu", "Man bin Ali", "air laut di pasar"]
)
def test_words_that_are_both_malay_and_english(text: str) -> None:
    assert {word.language for word in phonemes(text, english=english)} == {"ms"}


@pytest.mark.parametrize(
    "word", "tungging mencempung melacung cembung gonggong bangkung rewang tebing kangkung buruj".split()
)
def test_unknown_malay_words_are_recognised_as_malay(word: str) -> None:
    """Words in -ng that are in no list count as Malay, because the list of English words has most of those in -ng."""
    assert words.word_language(word, [word], 0, "ms") == "ms"


@pytest.mark.parametrize("word", "gasing runsing banting lipis paras hamid pintas motor radio robot visa area".split())
def test_malay_words_that_look_like_inflected_english_words(word: str) -> None:
    assert words.word_language(word, [word], 0, "ms") == "ms"


@pytest.mark.parametrize("word", "stopping vlogging making crowdfunding bookings reloaded slower power tower".split())
def test_inflected_english_words_are_english(word: str) -> None:
    assert words.word_language(word, [word], 0, "ms") == "en"


def test_an_english_sentence_is_english() -> None:
    assert sounds("The main road had a traffic jam.") == english("The main road had a traffic jam").replace(
        "ˈ", ""
    ).replace("ˌ", "")


def test_malay_affixes_on_english_words() -> None:
    assert [word.language for word in phonemes("diupdate websitenya", english=english)] == ["ms", "en", "en", "ms"]


@pytest.mark.parametrize(
    ("word", "ipa"),
    [
        ("anak", "anaʔ"),
        ("masakan", "masakan"),
        ("bukakan", "bukəkan"),
        ("saat", "saʔat"),
        ("keadaan", "kəʔadaʔan"),
        ("main", "maen"),
        ("akaun", "akaʊn"),
        ("gigabait", "ɡiɡabaɪt"),
        ("laut", "laot"),
        ("pandai", "pandaɪ"),
        ("pulau", "pulaʊ"),
        ("nyanyi", "ɲaɲi"),
        ("rakyat", "raʔjat"),
        ("klinik", "klinik"),
        ("dramatik", "dramatik"),
        ("okestra", "okestrə"),
        ("syarikat", "ʃarikat"),
        ("khabar", "xabar"),
        ("maghrib", "maɣrɪb"),
        ("putih", "putɪh"),
        ("tulisan", "tulisan"),
        ("tunggu", "tuŋɡu"),
        ("bank", "beŋ"),
        ("politik", "politik"),
        ("memukul", "məmukʊl"),
        ("dipertanggungjawabkan", "dipərtaŋɡuŋdʒawabkan"),
        ("perpuluhan", "pərpuluhan"),
        ("Celsius", "selsius"),
    ],
)
def test_letter_to_sound_rules(word: str, ipa: str) -> None:
    assert sounds(word) == ipa


def test_other_scripts() -> None:
    assert sounds("سلامت داتڠ") == sounds("selamat datang")
    assert sounds("ﷺ") == sounds("sallallahu alaihi wasallam")
    said = phonemes("Restoran 好吃 dan வணக்கம் русский", english=english)
    assert [(word.language, word.text) for word in said if word.language not in ("ms", "en")] == [
        ("zh", "好吃"),
        ("ta", "வணக்கம்"),
    ]
    assert len(said) == 4


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.text("abcdeghijklmnoprstuwyz '-.,?!", max_size=80),
        st.lists(
            st.sampled_from([*WORDS[:40], "RM5.50", "-5°C", "TV3", "50%", "好", "السلام", "😀", "[[x]]", "C++"])
        ).map(" ".join),
    )
)
def test_every_sound_has_a_symbol(text: str) -> None:
    for word in spoken(text):
        assert word.pause in (*",.?!:;", "")
        if word.language in ("ms", "en"):
            assert word.ipa
            assert set(word.ipa) <= SYMBOLS, (word.text, word.ipa)


def test_the_neural_voice_has_a_symbol_for_every_sound() -> None:
    """The input of the neural voice keeps every vowel, so no vowel is dropped for lack of a symbol."""
    vocabulary = dict.fromkeys([*"AIOQWYʧʤ ", *SYMBOLS], 1)
    for word in [*WORDS, *NAMES, *(line.replace("*", "") for line in MANGLISH)]:
        ipa = " ".join(said.ipa for said in phonemes(word.replace("é", "e"), english=english))
        kept = symbols(ipa, vocabulary)
        assert len(re.findall("[aeəɛ]", kept)) >= len(re.findall("[aeəɛ](?![ɪʊ])", ipa)) - ipa.count("ɚ"), (ipa, kept)
        assert len(kept.split()) == len(ipa.split())


def test_lexicon_is_large_and_well_formed() -> None:
    table = lexicon()
    with_e = [word for word in table.respellings if "e" in word]
    assert len(with_e) >= 3000
    assert all(re.fullmatch(r"[a-zé+._'~]+", said) for said in table.respellings.values())


def test_speed_and_bounded_memory() -> None:
    text = " ".join([*WORDS, *(line.replace("*", "") for line in MANGLISH)])
    text = (text + " ") * 3
    phonemes(text[:4096], english=english)
    took = []
    for _ in range(5):
        start = time.process_time()
        phonemes(text[:4096], english=english)
        took.append(time.process_time() - start)
    assert min(took) < 0.05
    assert words._malay_ipa.cache_info().maxsize


def test_an_endless_word() -> None:
    start = time.process_time()
    assert phonemes("menge" * 800, english=english)
    assert time.process_time() - start < 1
