"""Turn speakable text into phonemes, word by word, each by the rules of its own language.

Thread safety: every function may be called from any thread; the caches are bounded.
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

#: Function from English text to IPA with spaces between words, such as eSpeak NG's ``espeak_TextToPhonemes``.
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
    """A word and its sounds.

    ``language``: "ms", "en", "zh" or "ta".
    ``ipa``: "" for Chinese and Tamil, whose voices read ``text`` themselves.
    ``pause``: the punctuation that follows, "" or one of ``,.?!:;``.
    ``letter``: whether ``text`` is the name of a letter.
    """

    text: str
    language: str
    ipa: str
    pause: str = ""
    letter: bool = False


def phonemes(text: str, language: str = "ms", *, english: EnglishPhonemes) -> list[SpokenWord]:
    """Return the words of ``text`` (one speakable sentence) with their sounds.

    ``language`` applies if the text does not show its own. Malay words are pronounced by the lexicon and rules of this
    package; English words, also inside a Malay sentence, by ``english``. Words in a script that no voice speaks are
    left out. A LETTER_MARK before a word shows that it is the name of a letter.
    """
    language = sentence_language(text, language)
    words = _join_foreign(list(_words(text, language)))
    return _with_english(words, english)


def sentence_language(text: str, fallback: str = "ms") -> str:
    """Return the language of one speakable sentence, or ``fallback`` if the sentence does not show it.

    Unless ``fallback`` is "en", a sentence with more Malay than English words is Malay.
    """
    detected = detect_language(without_letters(text), fallback)
    if detected != "en" or fallback == "en":
        return detected
    kinds = [word_kind(token.lower()) for token in _tokens(without_letters(text)) if token.isalpha()]
    return "ms" if kinds.count("ms") > kinds.count("en") else "en"


def _words(text: str, language: str) -> Iterator[SpokenWord]:
    """Yield the words, Malay ones with their sounds. English words get theirs later."""
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
    """Yield a spelled letter.

    After one mark the token is the letter's Malay name. After two marks, or as a capital, it is the letter itself.
    """
    name = token.lstrip(LETTER_MARK)
    itself = token.startswith(LETTER_MARK * 2) or (len(name) == 1 and name.isupper())
    spoken = "en" if language == "en" else "ms"
    if sound := letter_ipa(name, spoken, itself=itself):
        yield SpokenWord(name, spoken, sound, letter=True)
    elif sound := malay_ipa(name):
        yield SpokenWord(name, "ms", sound)


def _number(token: str, language: str) -> Iterator[SpokenWord]:
    """Yield a number in digits as Malay words. Chinese and Tamil voices read digits themselves."""
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
    """Pass consecutive English words to ``english`` together, so that "the" and "a" are said as in a sentence."""
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
    if len(sounds) != len(run):  # the engine has joined some ("of the") or read one as several
        sounds = ["".join(english(word.text).split()) for word in run]
    return [replace(word, ipa=sound) for word, sound in zip(run, sounds, strict=True) if sound]
