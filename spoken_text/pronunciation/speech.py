"""Turn speakable text into phonemes. Each word follows the pronunciation rules of its own language.

Threads: every function may be called from any thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spoken_text.language import detect_language
from spoken_text.numbers_ms import cardinal
from spoken_text.pronunciation.foreign import FOREIGN, jawi_word, plain_latin, script_of
from spoken_text.pronunciation.letters import LETTER_MARK, letter_ipa, without_letters
from spoken_text.pronunciation.lexicon import lexicon
from spoken_text.pronunciation.words import (
    english_reading,
    in_english,
    malay_ipa,
    mixed_parts,
    word_kind,
    word_language,
)

#: A function that turns English text into IPA with spaces between words, such as ``tts.espeak.phonemes``.
EnglishPhonemes = Callable[[str], str]

_VOWELS = frozenset("aeiouy")
_MAX_SPELLED = 6  # letters; a longer word without a vowel is not spelled
PAUSES = ",.?!:;"
_PAUSE_OF = {"，": ",", "、": ",", "。": ".", "？": "?", "！": "!", "：": ":", "；": ";", "…": ".", "؟": "?", "،": ","}
_TOKEN = re.compile(
    rf"{LETTER_MARK}{{0,2}}[A-Za-z]+(?:['’][A-Za-z]+)*|{FOREIGN}|\d+|[^\W\d_]|[^\w\s]",
)


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and its pronunciation. Consecutive Chinese or Tamil words are one ``SpokenWord``.

    ``language``: "ms", "en", "zh" or "ta".
    ``ipa``: phonemes of the word; "" for Chinese and Tamil, which are pronounced from ``text``.
    ``pause``: the punctuation after the word: one of ``,.?!:;``, or "".
    ``letter``: whether ``text`` is the name of a letter.
    """

    text: str
    language: str
    ipa: str
    pause: str = ""
    letter: bool = False


def phonemes(text: str, language: str = "ms", *, english: EnglishPhonemes) -> list[SpokenWord]:
    """Return the words of a sentence with their pronunciation.

    ``text``: one speakable sentence. A LETTER_MARK before a word shows that it is the name of a letter.
    ``language``: the sentence's language if it cannot be detected.
    ``english``: function that pronounces English words, also those inside a Malay sentence.

    Malay words are pronounced by the lexicon and rules of this package. Words in a script that no voice can read are
    left out.
    """
    language = sentence_language(text, language)
    words = _join_foreign(list(_words(text, language)))
    return _with_english(words, english)


def sentence_language(text: str, fallback: str = "ms") -> str:
    """Return the language of one speakable sentence.

    ``fallback``: returned if the language cannot be detected. If ``fallback`` is not "en", a sentence counts as English
    only if it has at least as many English as Malay words.
    """
    detected = detect_language(without_letters(text), fallback)
    if detected != "en" or fallback == "en":
        return detected
    kinds = [word_kind(token.lower()) for token in _tokens(without_letters(text)) if token.isalpha()]
    return "ms" if kinds.count("ms") > kinds.count("en") else "en"


def _words(text: str, language: str) -> Iterator[SpokenWord]:
    """Yield the words and punctuation marks of a sentence. English words have no IPA yet (see ``_with_english``).

    A punctuation mark is a ``SpokenWord`` without text or language (see ``_join_foreign``).
    """
    tokens = _tokens(text)
    names = [token.lower() for token in tokens]
    for index, token in enumerate(tokens):
        if token in PAUSES or token in _PAUSE_OF:
            yield SpokenWord("", "", "", _PAUSE_OF.get(token, token))
        elif token.startswith(LETTER_MARK):
            yield from _letter(token, language)
        elif token.isdecimal():
            yield from _number(token, language)
        else:
            yield from _word(token, names, index, language)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(plain_latin(text))


def _letter(token: str, language: str) -> Iterator[SpokenWord]:
    """Yield a spelled letter with its pronunciation.

    ``token``: after one LETTER_MARK the Malay name of the letter; after two, or as a capital, the letter itself.
    """
    name = token.lstrip(LETTER_MARK)
    itself = token.startswith(LETTER_MARK * 2) or (len(name) == 1 and name.isupper())
    spoken = "en" if language == "en" else "ms"
    if sound := letter_ipa(name, spoken, itself=itself):
        yield SpokenWord(name, spoken, sound, letter=True)
    elif sound := malay_ipa(name):
        yield SpokenWord(name, "ms", sound)


def _number(token: str, language: str) -> Iterator[SpokenWord]:
    """Yield a number as Malay words. For Chinese and Tamil, yield the digits, because their voices read digits."""
    if language in ("zh", "ta"):
        yield SpokenWord(token, language, "")
        return
    for name in cardinal(int(token[:15])).split():
        yield SpokenWord(name, "ms", malay_ipa(name))


def _word(token: str, names: list[str], index: int, language: str) -> Iterator[SpokenWord]:
    script = script_of(token[0])
    if script in ("zh", "ta"):
        yield SpokenWord(token, script, "")
    elif script == "arabic":
        for word in re.findall(r"[a-z']+", jawi_word(token, lexicon().jawi).lower()):
            yield SpokenWord(word, "ms", malay_ipa(word))
    elif script == "latin":
        word = token.lower().replace("’", "'")
        if len(word) == 1 and language != "en" and not in_english(word, names, index):
            yield from _letter(LETTER_MARK * 2 + word, language)
            return
        if not _VOWELS.intersection(word) and len(word) <= _MAX_SPELLED:
            for letter in word:
                yield from _letter(LETTER_MARK * 2 + letter, language)
        elif word_language(word, names, index, language) == "en":
            yield SpokenWord(english_reading(token), "en", "")
        elif parts := mixed_parts(word):
            for part, part_language in parts:
                sound = "" if part_language == "en" else malay_ipa(part).replace("ˈ", "")
                yield SpokenWord(part, part_language, sound)
        elif sound := malay_ipa(word):
            yield SpokenWord(token, "ms", sound)


def _join_foreign(words: list[SpokenWord]) -> list[SpokenWord]:
    """Attach punctuation to the word before it, and join consecutive Chinese or Tamil words into one."""
    joined: list[SpokenWord] = []
    for word in words:
        last = joined[-1] if joined else None
        if not word.language:
            if last and not last.pause:
                joined[-1] = replace(last, pause=word.pause)
        elif last and last.language == word.language and word.language in ("zh", "ta"):
            gap = last.pause or ("" if word.language == "zh" else " ")
            joined[-1] = replace(last, text=last.text + gap + word.text, pause="")
        else:
            joined.append(word)
    return joined


def _with_english(words: list[SpokenWord], english: EnglishPhonemes) -> list[SpokenWord]:
    """Add the IPA of English words.

    ``english`` gets consecutive English words as one text, so that words like "the" get their unstressed form.
    """
    out: list[SpokenWord] = []
    run: list[SpokenWord] = []
    for word in words:
        if word.language == "en" and not word.letter:
            run.append(word)
            if not word.pause:
                continue
        out += _english_run(run, english)
        run = []
        if not (word.language == "en" and not word.letter):
            out.append(word)
    return out + _english_run(run, english)


def _english_run(run: list[SpokenWord], english: EnglishPhonemes) -> list[SpokenWord]:
    if not run:
        return []
    sounds = english(" ".join(word.text for word in run)).split()
    if len(sounds) != len(run):  # ``english`` joined two words ("of the") or read one word as several
        sounds = ["".join(english(word.text).split()) for word in run]
    return [replace(word, ipa=sound) for word, sound in zip(run, sounds, strict=True) if sound]
