"""Put numbers such as "1,250.50", "ke-3", "2/3", "-5" and "1990-an" into Malay or English words."""

from __future__ import annotations

import re

from spoken_text import numbers_en, numbers_ms
from spoken_text.rules import DASH, EDGE, END, NUMBER, pick, rule, words

MAX_DIGITS = 15  # a number with more digits is read digit by digit


def cardinal(number: int, language: str) -> str:
    return numbers_ms.cardinal(number) if language == "ms" else numbers_en.cardinal(number)


def ordinal(number: int, language: str) -> str:
    return numbers_ms.ordinal(number) if language == "ms" else numbers_en.ordinal(number)


def year(number: int, language: str) -> str:
    return numbers_ms.year(number) if language == "ms" else numbers_en.year(number)


def fraction(top: int, bottom: int, language: str) -> str:
    return numbers_ms.fraction(top, bottom) if language == "ms" else numbers_en.fraction(top, bottom)


def digits(text: str, language: str) -> str:
    """Return the ASCII digits of ``text`` in words, one by one. Other characters are left out."""
    names = numbers_ms.DIGITS if language == "ms" else numbers_en.DIGITS
    return " ".join(names[int(char)] for char in text if char in "0123456789")


def digit_groups(text: str, language: str) -> str:
    """Return the digits of ``text`` in words, one by one, with a comma between groups of digits."""
    return ", ".join(digits(group, language) for group in re.findall(r"\d+", text))


def number(text: str, language: str) -> str:
    """Return a number in words.

    ``text``: a match of ``rules.NUMBER``.

    Decimals are read digit by digit. So are numbers with a leading zero ("007") or more than MAX_DIGITS digits.
    """
    whole, _, decimals = text.replace(",", "").partition(".")
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        spoken = digits(whole, language)
    else:
        spoken = cardinal(int(whole or "0"), language)
    if not decimals:
        return spoken
    point = pick(language, numbers_ms.POINT, numbers_en.POINT)
    return f"{spoken} {point} {digits(decimals, language)}"


def _minus(language: str) -> str:
    return pick(language, numbers_ms.NEGATIVE, numbers_en.NEGATIVE)


def _ordinal(match: re.Match[str], language: str) -> str:
    spoken = ordinal(int(match[2]), language)
    return spoken.capitalize() if match[1] == "K" else spoken


def _decade(match: re.Match[str], language: str) -> str:
    """Put a decade into words: "1990s" becomes "nineteen nineties", in Malay with the ending "-an"."""
    value = int(match[1].replace(",", ""))
    if language == "ms":
        return cardinal(value, "ms") + "an"
    spoken = year(value, "en")
    return spoken[:-1] + "ies" if spoken.endswith("y") else spoken + "s"


_SCALES = {
    "rb": ("ribu", "thousand"),
    "k": ("ribu", "thousand"),
    "K": ("ribu", "thousand"),
    "j": ("juta", "million"),
    "jt": ("juta", "million"),
    "M": ("juta", "million"),
    "m": ("juta", "million"),
    "mil": ("juta", "million"),
    "mn": ("juta", "million"),
    "b": ("bilion", "billion"),
    "B": ("bilion", "billion"),
    "bil": ("bilion", "billion"),
    "bn": ("bilion", "billion"),
    "t": ("trilion", "trillion"),
    "T": ("trilion", "trillion"),
    "ribu": ("ribu", "thousand"),
    "juta": ("juta", "million"),
    "bilion": ("bilion", "billion"),
    "billion": ("bilion", "billion"),
    "trilion": ("trilion", "trillion"),
    "trillion": ("trilion", "trillion"),
    "thousand": ("ribu", "thousand"),
    "million": ("juta", "million"),
}
_WORD_SCALES = "|".join(sorted((name for name in _SCALES if len(name) > 3), key=len, reverse=True))
#: Pattern of a scale (thousand, million, …) after an amount of money: "RM5k", "RM2j", "RM1.2 juta", "RM1 JUTA".
SCALE = (
    f"(?:(?i:{_WORD_SCALES})|{'|'.join(sorted((name for name in _SCALES if len(name) <= 3), key=len, reverse=True))})"
)
# Scales that may directly follow a plain number ("5k"). "j", "m", "b" and "t" are left out, because they may be units.
_SUFFIX_SCALES = "[kK]|rb|jt|mil|bn"
_NUMBERED_THING = re.compile(
    r"\b(?:kelas|rumah|blok|lot|bilik|tingkat|no|nombor|jalan|jln|unit|pintu|gred|tingkatan|seksyen|darjah|lorong|bas|"
    r"grade|class|room|block|house|number|level|platform|gate|seat|kerusi|batu)\.? $",
    re.IGNORECASE,
)


def scale(text: str, language: str) -> str:
    """Return a scale (thousand, million, …) in words: "k" becomes "ribu" or "thousand". ``text`` matches SCALE."""
    return pick(language, *_SCALES[text if text in _SCALES else text.lower()])


def scaled(value: str, size: str, language: str) -> str:
    """Return a number with its scale in words: "5k" becomes "lima ribu" or "five thousand".

    ``value``: a match of ``rules.NUMBER``.
    ``size``: a match of SCALE.
    """
    if language == "ms" and value == "1" and scale(size, "ms") == "ribu":
        return "seribu"
    return f"{number(value, language)} {scale(size, language)}"


def _fraction(match: re.Match[str], language: str) -> str:
    whole = match[1]
    top = int(match[2])
    bottom = int(match[3])
    if bottom == 0:
        return f"{match[1] or ''}{digits(match[2], language)} {pick(language, 'per', 'over')} {digits('0', language)}"
    spoken = fraction(top, bottom, language)
    if not whole:
        return spoken
    joined = " " if language == "ms" else " and a " if (top, bottom) == (1, 2) else " and "
    return f"{number(whole.strip(), language)}{joined}{spoken}"


def is_part_of_name(match: re.Match[str]) -> bool:
    """Return True if the word before the match shows that the match is part of a name, as in "Rumah 12B"."""
    return bool(_NUMBERED_THING.search(match.string[max(0, match.start() - 20) : match.start()]))


def _large(match: re.Match[str], language: str) -> str:
    """Put a number with M, B or T (million, billion, trillion) into words. Leave a name such as "Rumah 12B" unchanged.

    A whole number with B or T counts as a name unless a lower-case word follows.
    """
    after = match.string[match.end() : match.end() + 2]
    named = is_part_of_name(match) or (match[2] != "M" and "." not in match[1] and not re.match(r" [a-z]", after))
    return match[0] if named else scaled(match[1], match[2], language)


def _plain(match: re.Match[str], language: str) -> str:
    before = " " if match.start() and match.string[match.start() - 1].isalpha() else ""
    after = " " if match.end() < len(match.string) and match.string[match.end()].isalpha() else ""
    return before + number(match[0], language) + after


LONG_RUNS = [rule(rf"\d{{{MAX_DIGITS + 1},}}", lambda m, lang: f" {digits(m[0], lang)} ")]

ORDINALS = [
    rule(rf"{EDGE}([Kk])e[-–‑]?(\d{{1,9}}){END}", _ordinal),
    rule(rf"{EDGE}()(\d{{1,9}})(?:st|nd|rd|th){END}", _ordinal),
    rule(rf"{EDGE}(\d{{1,3}},\d{{3}}|\d{{2,6}})[-–‑]?an{END}", lambda m, lang: _decade(m, "ms")),
    rule(rf"{EDGE}['’]?(\d{{2,4}})['’]?s{END}", _decade),
]

FRACTIONS = [
    rule(rf"{EDGE}(50)\s?/\s?50{END}", lambda m, lang: " ".join([number(m[1], lang)] * 2)),
    rule(
        rf"{EDGE}(\d{{1,4}}\.\d{{1,2}})/(\d{{1,4}}(?:\.\d{{1,2}})?)(?![\w/.])",
        lambda m, lang: f"{number(m[1], lang)} {pick(lang, 'daripada', 'out of')} {number(m[2], lang)}",
    ),
    rule(rf"{EDGE}24/7{END}", words("dua puluh empat jam tujuh hari seminggu", "twenty-four seven")),
    rule(rf"{EDGE}(\d{{1,9}}[ -])?(\d{{1,3}})[/⁄](\d{{1,4}})(?![\w/.]{{0,40}}\d){END}", _fraction),
]

#: Plus and minus signs before a number: in "-5", but not in "10 -5" or "A-5". Applied before units.
SIGNS = [
    rule(r"(?<![\w+).])\+(?=\d)", words("tambah ", "plus ")),
    rule(rf"(?<![\w.,)%°])(?<![\d)] ){DASH}(?=\d)", lambda m, lang: f"{_minus(lang)} "),
]

#: These rules are applied before the rules for codes of digits and letters.
SCALES = [
    rule(rf"{EDGE}({NUMBER})\s?((?i:{_WORD_SCALES})){END}", lambda m, lang: scaled(m[1], m[2], lang)),
    rule(
        rf"{EDGE}(?![48]K)({NUMBER})({_SUFFIX_SCALES}){END}", lambda m, lang: scaled(m[1], m[2], lang)
    ),  # 4K is a screen
    rule(rf"{EDGE}({NUMBER})([MBT]){END}", _large),
]

NUMBERS = [
    rule(r"(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=[^\W\d_])", words(" ", " ")),
    rule(r"(?<=\d)/(?=\d)", words(", ", ", ")),
    *SIGNS,
    rule(r"(?<![\d.])\d{1,6}(?:\.\d{1,6}){2,}", lambda m, lang: _dotted(m[0], lang)),
    rule(NUMBER, _plain),
]


def _dotted(text: str, language: str) -> str:
    """Put a version number or an IP address such as "192.168.0.1" into words, with a word for each point."""
    joined = pick(language, " titik ", " point ")
    return joined.join(number(part, language) for part in text.split("."))
