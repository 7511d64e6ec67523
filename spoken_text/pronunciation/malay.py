"""Turn Malay spelling into phonemes (IPA).

The input is a respelling: Malay spelling without ambiguous sounds. It adds a few symbols to normal spelling:

- ``é`` is e taling [e]; plain ``e`` is e pepet [ə];
- ``+`` stands between morphemes (``me+masak+kan``);
- ``.`` separates two vowels that are not a diphthong (``ma.in``), ``_`` joins two that are (``kau_nter``);
- ``'`` is a glottal stop inside a word (``ra'yat``);
- ``~`` at the end marks a loanword, in which i and u are never lax and k is never a glottal stop (``politik~``).

The pronunciation is that of Malaysian newsreaders (Johor-Riau):

- final open a is [ə];
- i and u are lax in a closed last syllable;
- final k is a glottal stop.

The sounds of the letters follow Pedoman Umum Ejaan Bahasa Melayu (DBP).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

VOWELS = "aeéiou"
SUFFIXES = ("kan", "an", "i", "nya", "lah", "kah", "tah", "pun", "ku", "mu", "wan", "wati")
_WEAK_BEFORE = frozenset(["kan", "nya", "lah", "kah", "tah", "pun", "ku", "mu"])

_CONSONANTS = {
    "ngg": "ŋɡ",
    "ngk": "ŋk",
    "ng": "ŋ",
    "ny": "ɲ",
    "sy": "ʃ",
    "sh": "ʃ",
    "kh": "x",
    "gh": "ɣ",
    "ch": "tʃ",
    "th": "t",
    "dh": "d",
    "ph": "f",
    "ck": "k",
    "dz": "z",
    "b": "b",
    "c": "tʃ",
    "d": "d",
    "f": "f",
    "g": "ɡ",
    "h": "h",
    "j": "dʒ",
    "k": "k",
    "l": "l",
    "m": "m",
    "n": "n",
    "p": "p",
    "q": "k",
    "r": "r",
    "s": "s",
    "t": "t",
    "v": "v",
    "w": "w",
    "x": "ks",
    "y": "j",
    "z": "z",
    "'": "ʔ",
}
_UNITS = re.compile(r"ngg|ngk|ng|ny|sy|sh|kh|gh|ch|th|dh|ph|ck|dz|[a-zé'+._]")
_DIPHTHONGS = {"ai": "aɪ", "au": "aʊ", "oi": "oɪ", "éi": "eɪ"}
_VOWEL_SOUNDS = {"a": "a", "e": "ə", "é": "e", "i": "i", "o": "o", "u": "u"}
_SONORANTS = frozenset("m n ŋ ɲ l r w j".split())


@dataclass
class _Sound:
    """A consonant or a vowel of a word.

    ``vowel``: whether it is a vowel. A diphthong is one vowel.
    ``morpheme``: index of the morpheme to which it belongs.
    """

    ipa: str
    vowel: bool
    morpheme: int


def ipa(respelling: str) -> str:
    """Return the IPA of a respelling (see the module). The stress mark ˈ comes directly before the stressed vowel."""
    loan = respelling.endswith("~")
    morphemes = respelling.rstrip("~").split("+")
    stem = _stem_index(morphemes)
    sounds = [sound for index, part in enumerate(morphemes) for sound in _sounds(part, index)]
    _weaken_final_a(sounds, morphemes, stem)
    if not loan:
        _lax_last_syllable(sounds, stem)
    _glottal_k(sounds, stem, loan)
    _part_vowels(sounds)
    return _stressed(sounds)


def _stem_index(morphemes: list[str]) -> int:
    last = len(morphemes) - 1
    while last > 0 and morphemes[last] in SUFFIXES:
        last -= 1
    return last


def _sounds(part: str, index: int) -> list[_Sound]:
    """Return the sounds of one morpheme.

    ``part``: the morpheme's respelling.
    ``index``: the morpheme's index in the word.
    """
    units = _UNITS.findall(part)
    sounds: list[_Sound] = []
    position = 0
    while position < len(units):
        unit = units[position]
        if unit in VOWELS:
            taken, sound = _vowel(units, position)
            sounds.append(_Sound(sound, True, index))
            position += taken
            continue
        position += 1
        if unit in "+._":
            continue
        sound = _CONSONANTS[unit]
        if unit == "x" and not sounds:
            sound = "z"
        if unit == "n" and position < len(units) and units[position] in ("k", "g", "kh", "q"):
            sound = "ŋ"
        sounds.extend(_Sound(one, False, index) for one in _split(sound))
    return _without_doubles(sounds)


def _split(sound: str) -> list[str]:
    return [sound] if sound in ("tʃ", "dʒ") else list(sound)


def _vowel(units: list[str], position: int) -> tuple[int, str]:
    """Return the vowel or diphthong at units[position]: the number of units that it takes, and its IPA.

    In a closed last syllable, "ai", "au" and "oi" are two vowels, as in "ma-in".
    """
    here = units[position]
    after = units[position + 1 :]
    if after and after[0] == "_" and len(after) > 1 and here + after[1] in _DIPHTHONGS:
        return 3, _DIPHTHONGS[here + after[1]]
    if after and here + after[0] in _DIPHTHONGS:
        rest = after[1:]
        closed_last = bool(rest) and not any(unit in VOWELS for unit in rest)
        before_vowel = bool(rest) and rest[0] in VOWELS
        if not closed_last and not before_vowel:
            return 2, _DIPHTHONGS[here + after[0]]
    return 1, _VOWEL_SOUNDS[here]


def _without_doubles(sounds: list[_Sound]) -> list[_Sound]:
    """Merge doubled consonants into one, as in "Muhammad"."""
    return [
        sound
        for index, sound in enumerate(sounds)
        if sound.vowel or index == 0 or sounds[index - 1].vowel or sounds[index - 1].ipa != sound.ipa
    ]


def _weaken_final_a(sounds: list[_Sound], morphemes: list[str], stem: int) -> None:
    """Turn a final open a into [ə], also before most suffixes that begin with a consonant ("buka-kan")."""
    for index, sound in enumerate(sounds):
        if sound.ipa != "a" or sound.morpheme < stem or morphemes[sound.morpheme] == "a":
            continue
        last_of_morpheme = index + 1 == len(sounds) or sounds[index + 1].morpheme != sound.morpheme
        if not last_of_morpheme:
            continue
        following = morphemes[sound.morpheme + 1] if sound.morpheme + 1 < len(morphemes) else None
        if following is None or following in _WEAK_BEFORE:
            sound.ipa = "ə"


def _lax_last_syllable(sounds: list[_Sound], stem: int) -> None:
    """Make i and u lax in the last syllable of the stem if a consonant closes this syllable.

    A consonant closes it in "putih" and "puluh-nya", but not in "tulis-an".
    """
    of_stem = [index for index, sound in enumerate(sounds) if sound.morpheme == stem]
    vowels = [index for index in of_stem if sounds[index].vowel]
    if len(vowels) < 2 or vowels[-1] == of_stem[-1]:
        return
    following = of_stem[-1] + 1
    resyllabified = following < len(sounds) and sounds[following].vowel
    if not resyllabified and sounds[vowels[-1]].ipa in ("i", "u"):
        after_vowel = sounds[vowels[-1] - 1].vowel  # "ma-in", "la-ut": no diphthong
        lax = {"i": "e", "u": "o"} if after_vowel else {"i": "ɪ", "u": "ʊ"}
        sounds[vowels[-1]].ipa = lax[sounds[vowels[-1]].ipa]


def _glottal_k(sounds: list[_Sound], stem: int, loan: bool) -> None:
    """Turn a k after a vowel into a glottal stop where the k ends a syllable, unless the word is a loanword.

    A k ends a syllable at the end of a word, before m, n, ny, w and y, and at the end of a morpheme before a consonant.
    """
    for index, sound in enumerate(sounds):
        if sound.ipa != "k" or index == 0 or not sounds[index - 1].vowel or loan:
            continue
        following = sounds[index + 1] if index + 1 < len(sounds) else None
        ends_stem = following is None or following.morpheme != sound.morpheme
        if following is None or (ends_stem and not following.vowel) or following.ipa in ("m", "n", "ɲ", "j", "w"):
            sound.ipa = "ʔ"


def _part_vowels(sounds: list[_Sound]) -> None:
    """Insert a glottal stop between equal vowels, and between a prefix in [ə] and a vowel ("ke-adaan" [kəʔadaʔan])."""
    for index in range(len(sounds) - 1, 0, -1):
        before = sounds[index - 1]
        after = sounds[index]
        if not (before.vowel and after.vowel):
            continue
        boundary = before.morpheme != after.morpheme and before.ipa == "ə"
        if before.ipa == after.ipa or boundary:
            sounds.insert(index, _Sound("ʔ", False, after.morpheme))


def _stressed(sounds: list[_Sound]) -> str:
    """Return the IPA of a word with its stress mark.

    The stress is on the second-to-last syllable or, if that syllable has [ə], on the last.
    """
    vowels = [index for index, sound in enumerate(sounds) if sound.vowel]
    if not vowels:
        return "".join(sound.ipa for sound in sounds)
    stressed = vowels[-1]
    if len(vowels) > 1 and sounds[vowels[-2]].ipa != "ə":
        stressed = vowels[-2]
    return "".join(("ˈ" if index == stressed else "") + sound.ipa for index, sound in enumerate(sounds))
