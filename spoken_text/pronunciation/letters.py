"""The names of letters and their sounds (IPA), in Malay and in English."""

from __future__ import annotations

import re

# Invisible separator that ``speakable(…, letters=True)`` writes before each letter name: then "en" is N, not "encik".
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
    """Return ``text`` without its marked letters: "i", the Malay name of E, would pass for an English word."""
    return _MARKED.sub(" ", text)


def letter_ipa(name: str, language: str, *, itself: bool = False) -> str:
    """Return the IPA of a letter in ``language`` ("ms" or "en"), or "" if ``name`` is not a letter.

    ``name`` is the letter's Malay name ("i" is E) or, with ``itself``, the letter.
    """
    name = name.lower()
    letter = name if itself else _LETTER_OF.get(name, name)
    return _stress(_SOUNDS[language].get(letter, ""))


def _stress(sound: str) -> str:
    for index, char in enumerate(sound):
        if char in _VOWELS:
            return sound[:index] + "ˈ" + sound[index:]
    return sound
