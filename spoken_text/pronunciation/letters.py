"""The names of letters, as Malaysians say them and as Americans and Britons do."""

from __future__ import annotations

# Invisible separator: `speakable(…, letters=True)` writes it before each letter's name, so that "en" is N, not "encik".
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
_VOWELS = "aɑeɛəiouʌ"


def letter_ipa(name: str, language: str) -> str:
    """The IPA of a letter, given as the letter or by its Malay name ("en"); "" for anything else."""
    letter = _letter(name.lower(), language)
    return _stress(_SOUNDS["en" if language == "en" else "ms"].get(letter, ""))


def _letter(name: str, language: str) -> str:
    """ "i" is the Malay name of E; in English it is the letter itself."""
    return name if language == "en" and len(name) == 1 else _LETTER_OF.get(name, name)


def _stress(sound: str) -> str:
    for index, char in enumerate(sound):
        if char in _VOWELS:
            return sound[:index] + "ˈ" + sound[index:]
    return sound
