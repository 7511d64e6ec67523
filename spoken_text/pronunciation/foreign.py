"""Tell scripts apart, transliterate Jawi into Latin letters, and remove accents from Latin letters.

Jawi is the Arabic script in which Malay is also written. Characters of some scripts cannot be read aloud by any voice.
"""

from __future__ import annotations

import re
import unicodedata

_HAN = r"\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_TAMIL = r"\u0b80-\u0bff"
_ARABIC = r"\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc"
_SCRIPTS = {"zh": re.compile(f"[{_HAN}]"), "ta": re.compile(f"[{_TAMIL}]"), "arabic": re.compile(f"[{_ARABIC}]")}
FOREIGN = f"[{_HAN}]+|[{_TAMIL}]+|[{_ARABIC}]+"  # pattern of consecutive characters of one script, with their marks

_LIGATURES = {
    "ﷺ": "sallallahu alaihi wasallam",
    "ﷲ": "Allah",
    "ﷻ": "jalla jalaluh",
    "ﷴ": "Muhammad",
    "﷽": "bismillahirrahmanirrahim",
}
_VOWEL_MARKS = dict(
    zip("\u064e\u064f\u0650\u064b\u064c\u064d\u0670", ("a", "u", "i", "an", "un", "in", "a"), strict=True)
)
_DROPPED = dict.fromkeys(map(ord, "\u0640\u0652\u0654\u0655\u0653\u061c\u200c\u200d\u061f\u060c\u061b"))
_SPELLED_OUT = {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "Ae", "œ": "oe", "đ": "d", "ı": "i"}
_DOUBLING = "\u0651"
_JAWI = {
    "ا": "a",
    "أ": "a",
    "إ": "i",
    "آ": "a",
    "ٱ": "a",
    "ب": "b",
    "ت": "t",
    "ة": "h",
    "ث": "s",
    "ج": "j",
    "چ": "c",
    "ح": "h",
    "خ": "kh",
    "د": "d",
    "ذ": "z",
    "ر": "r",
    "ز": "z",
    "س": "s",
    "ش": "sy",
    "ص": "s",
    "ض": "d",
    "ط": "t",
    "ظ": "z",
    "ع": "a",
    "غ": "gh",
    "ڠ": "ng",
    "ف": "f",
    "ڤ": "p",
    "ق": "k",
    "ک": "k",
    "ك": "k",
    "ڬ": "g",
    "گ": "g",
    "ݢ": "g",
    "ل": "l",
    "م": "m",
    "ن": "n",
    "و": "w",
    "ۏ": "v",
    "ه": "h",
    "هـ": "h",
    "ء": "'",
    "ي": "y",
    "ی": "y",
    "ى": "a",
    "ئ": "'i",
    "ؤ": "'u",
    "ڽ": "ny",
    "ۑ": "ny",
}


def script_of(char: str) -> str:
    """Return the script of a character: "latin", "zh", "ta", "arabic", or "" for a script that no voice speaks."""
    for script, letter in _SCRIPTS.items():
        if letter.match(char):
            return script
    return "latin" if "a" <= char <= "z" or "A" <= char <= "Z" else ""


def plain_latin(text: str) -> str:
    """Remove the accents of Latin letters ("café" becomes "cafe"). Other characters are kept."""
    if text.isascii():
        return text
    return "".join(_plain(char) for char in unicodedata.normalize("NFC", text))


def _plain(char: str) -> str:
    if char in _SPELLED_OUT:
        return _SPELLED_OUT[char]
    first = unicodedata.normalize("NFKD", char)[:1]
    return first if first.isascii() and first.isalpha() else char


def jawi_word(word: str, known: dict[str, str]) -> str:
    """Transliterate a Jawi or Arabic word into Latin letters. Return "" if it has no letters.

    ``known``: Jawi word → its spelling in Latin letters.

    A ligature such as "ﷺ" may give several words.
    """
    if word in _LIGATURES:
        return _LIGATURES[word]
    word = unicodedata.normalize("NFKC", word).translate(_DROPPED)
    if word in known:
        return known[word]
    return _by_letters(word)


def _by_letters(word: str) -> str:
    """Transliterate a Jawi word letter by letter, and add the vowels that Jawi does not write."""
    spelled: list[str] = []
    for index, char in enumerate(word):
        if char in _VOWEL_MARKS:
            spelled.append(_VOWEL_MARKS[char])
        elif char == _DOUBLING:
            continue
        elif char in "ويى" or char == "ی":
            spelled.append(_glide(char, spelled, word[index + 1 :]))
        elif char in _JAWI:
            spelled.append(_JAWI[char])
    return _with_vowels("".join(spelled))


def _glide(char: str, before: list[str], rest: str) -> str:
    """Transliterate و, ي or ى: as a consonant at the start of a word and between vowels, else as a vowel.

    ``before``: the transliterated letters so far.
    ``rest``: the Jawi letters that follow.
    """
    vowel = "u" if char == "و" else "a" if char == "ى" else "i"
    consonant = "w" if char == "و" else "y"
    first = not before
    before_vowel = rest[:1] in ("ا", "و", "ي", "ی") or rest[:1] in _VOWEL_MARKS
    after_vowel = bool(before) and before[-1][-1] in "aiu"
    if first or (before_vowel and after_vowel):
        return consonant
    return vowel


def _with_vowels(spelled: str) -> str:
    """Insert a vowel ("a", or "e" for [ə]) between two consonants where Jawi leaves the vowel out.

    Jawi leaves it out at the beginning of a word, between the last two letters, and before a third consonant.
    """
    units = re.findall(r"ng|ny|sy|kh|gh|[a-z']", spelled)
    out: list[str] = []
    for index, unit in enumerate(units):
        out.append(unit)
        following = units[index + 1] if index + 1 < len(units) else None
        if following is None or not _is_consonant(unit) or not _is_consonant(following):
            continue
        last = index + 2 == len(units)
        no_vowel_yet = not any(not _is_consonant(one) for one in out)
        if last or no_vowel_yet or (index + 2 < len(units) and _is_consonant(units[index + 2])):
            out.append("a" if last or len(units) <= 4 else "e")
    return "".join(out)


def _is_consonant(unit: str) -> bool:
    return unit not in ("a", "i", "u", "e", "o", "'i", "'u")
