"""The names of letters and their sounds (IPA), in Malay and in English."""

from __future__ import annotations

import re

# Invisible character that ``speakable(…, letters=True)`` puts before each letter name. It tells "en", the letter N,
# from the abbreviation "en" (encik).
LETTER_MARK = "\u2063"

_MALAY_NAMES = "e bi si di i ef ji hec ai je ke el em en o pi kiu ar es ti yu vi dabliu eks wai zet".split()
_MALAY = "e bi si di i ɛf dʒi hɛtʃ aɪ dʒe ke ɛl ɛm ɛn o pi kju ar ɛs ti ju vi dabəlju ɛks waɪ zɛt".split()
_ENGLISH = (
    "eɪ biː siː diː iː ɛf dʒiː eɪtʃ aɪ dʒeɪ keɪ ɛl ɛm ɛn oʊ piː kjuː ɑːɹ ɛs tiː juː viː dʌbəljuː ɛks waɪ ziː"
).split()
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_LETTER_OF = dict(zip(_MALAY_NAMES, _ALPHABET, strict=True))
_SOUNDS = {
    "ms": dict(zip(_ALPHABET, _MALAY, strict=True)),
    "en": dict(zip(_ALPHABET, _ENGLISH, strict=True)),
}
_MARKED = re.compile(rf"{LETTER_MARK}+\w+")
_VOWELS = "aɑeɛəiouʌ"


def without_letters(text: str) -> str:
    """Remove the marked letter names from a text, because some look like words: "i" is the Malay name of E."""
    return _MARKED.sub(" ", text)


def letter_ipa(name: str, language: str, *, itself: bool = False) -> str:
    """Return the IPA of a letter's name, or "" if ``name`` does not stand for a letter.

    ``name``: the Malay name of the letter ("i" is E) or, if ``itself`` is set, the letter.
    ``language``: "ms" or "en"; language of the name to return.
    """
    name = name.lower()
    letter = name if itself else _LETTER_OF.get(name, name)
    return _stress(_SOUNDS[language].get(letter, ""))


def _stress(sound: str) -> str:
    for index, char in enumerate(sound):
        if char in _VOWELS:
            return sound[:index] + "ˈ" + sound[index:]
    return sound
