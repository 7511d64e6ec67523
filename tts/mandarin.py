"""Turn Mandarin text into phonemes, in the notation that Kokoro's Mandarin voices were trained on.

pypinyin turns the characters into pinyin. If a character has several readings, its dictionary of phrases usually gives
the right one. An arrow in each syllable marks the tone: → first, ↗ second, ↓ third, ↘ fourth, no arrow for neutral.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_INITIALS = {
    "b": "p",
    "p": "pʰ",
    "m": "m",
    "f": "f",
    "d": "t",
    "t": "tʰ",
    "n": "n",
    "l": "l",
    "g": "k",
    "k": "kʰ",
    "h": "x",
    "j": "ʨ",
    "q": "ʨʰ",
    "x": "ɕ",
    "zh": "ꭧ",
    "ch": "ꭧʰ",
    "sh": "ʂ",
    "r": "ɻ",
    "z": "ʦ",
    "c": "ʦʰ",
    "s": "s",
}
_FINALS = {
    "a": "a",
    "ai": "ai",
    "an": "an",
    "ang": "aŋ",
    "ao": "au",
    "o": "o",
    "ong": "ʊŋ",
    "ou": "ou",
    "e": "ɤ",
    "ei": "ei",
    "en": "ən",
    "eng": "əŋ",
    "er": "ɚ",
    "ê": "ɛ",
    "i": "i",
    "ia": "ja",
    "ian": "jɛn",
    "iang": "jaŋ",
    "iao": "jau",
    "ie": "je",
    "in": "in",
    "ing": "iŋ",
    "io": "jo",
    "iong": "jʊŋ",
    "iou": "jou",
    "iu": "jou",
    "u": "u",
    "ua": "wa",
    "uai": "wai",
    "uan": "wan",
    "uang": "waŋ",
    "uei": "wei",
    "ui": "wei",
    "uen": "wən",
    "un": "wən",
    "ueng": "wəŋ",
    "uo": "wo",
    "v": "y",
    "van": "ɥɛn",
    "ve": "ɥe",
    "vn": "yn",
}
_BUZZED = {"zh", "ch", "sh", "r", "z", "c", "s"}  # initials after which ``i`` only prolongs the consonant
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_NUMERALS = "零一二三四五六七八九"
_PAUSES = dict(zip("，、。！？：；…", ",,.!?:;.", strict=True))
_PART = re.compile(r"(?P<pause>[，、。！？：；…,.!?:;]+)|(?P<digits>[0-9]+)|(?P<han>[^\W\d_a-zA-Z]+)")
_SYLLABLE = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcs])?([a-zê]+)([1-5])")


def mandarin(text: str) -> str:
    """Return the phonemes of Chinese text with its punctuation. Words are separated by spaces."""
    parts = (part if kind == "," else _run(part) for kind, part in _parts(text))
    return "".join(parts).strip()


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Split text into parts. Yield pairs of the kind of a part and the part.

    - Kind "汉": Chinese characters. Digits are turned into Chinese numerals.
    - Kind ",": an ASCII punctuation mark and a space.

    Latin letters and other characters are left out.
    """
    for found in _PART.finditer(text):
        if found["pause"]:
            yield ",", f"{_PAUSES.get(found['pause'][0], found['pause'][0])} "
        elif found["digits"]:
            yield "汉", _digits(found["digits"])
        elif found["han"]:
            yield "汉", found["han"]


def _run(text: str) -> str:
    return " ".join("".join(map(syllable, word)) for word in _words(text))


def _digits(digits: str) -> str:
    """Replace each digit with its Chinese numeral. Digits are rare, because speakable text has numbers in words."""
    return "".join(_NUMERALS[int(digit)] for digit in digits)


def syllable(pinyin: str) -> str:
    """Return the phonemes of one pinyin syllable, or "" if ``pinyin`` is not a syllable.

    ``pinyin``: a syllable with its tone as a digit, and without an initial y or w: ``hao3``, ``ie4``, ``uo3``.
    """
    found = _SYLLABLE.fullmatch(pinyin)
    if found is None:
        return ""
    initial = found[1] or ""
    final = found[2]
    tone = _TONES[found[3]]
    if final == "i" and initial in _BUZZED:
        return f"{_INITIALS[initial]}ɨ{tone}"
    sound = _FINALS.get(final, "")
    vowels = sound.rstrip("nŋ")
    return f"{_INITIALS.get(initial, '')}{vowels}{tone}{sound[len(vowels) :]}"


def _words(text: str) -> list[list[str]]:
    """Split Chinese text into words. Return each word's pinyin syllables, spelled as ``syllable`` requires."""
    from pypinyin import Style, lazy_pinyin  # imported only when needed, because its dictionary is large
    from pypinyin.contrib.tone_convert import to_finals_tone3, to_initials
    from pypinyin.seg.mmseg import seg

    words: list[list[str]] = []
    for word in seg.cut(text):
        readings = lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore")
        words.append([to_initials(one) + to_finals_tone3(one, neutral_tone_with_five=True) for one in readings])
    return words
