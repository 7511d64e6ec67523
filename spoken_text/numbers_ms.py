"""Malay number words."""

from __future__ import annotations

DIGITS = ("kosong", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "lapan", "sembilan")
POINT = "perpuluhan"
NEGATIVE = "negatif"
_SCALES = ((10**12, "trilion"), (10**9, "bilion"), (10**6, "juta"))


def cardinal(number: int) -> str:
    """Return a number in words. ``number`` is from 0 to 10**15 - 1.

    Zero is "sifar". Its other name, "kosong", is used where digits are read one by one.
    """
    if number == 0:
        return "sifar"
    parts: list[str] = []
    for size, name in _SCALES:
        count, number = divmod(number, size)
        if count:
            parts.append(f"{_below_thousand(count)} {name}")
    thousands, rest = divmod(number, 1000)
    if thousands:
        parts.append("seribu" if thousands == 1 else f"{_below_thousand(thousands)} ribu")
    if rest:
        parts.append(_below_thousand(rest))
    return " ".join(parts)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts: list[str] = []
    if hundreds:
        parts.append("seratus" if hundreds == 1 else f"{DIGITS[hundreds]} ratus")
    if rest == 10:
        parts.append("sepuluh")
    elif rest == 11:
        parts.append("sebelas")
    elif 12 <= rest <= 19:
        parts.append(f"{DIGITS[rest - 10]} belas")
    else:
        tens, ones = divmod(rest, 10)
        if tens:
            parts.append(f"{DIGITS[tens]} puluh")
        if ones:
            parts.append(DIGITS[ones])
    return " ".join(parts)


def ordinal(number: int) -> str:
    """Return a number as an ordinal: "pertama", "kedua", "kedua puluh satu" or "keseratus"."""
    return "pertama" if number == 1 else f"ke{cardinal(number)}"


def year(number: int) -> str:
    return cardinal(number)


def fraction(top: int, bottom: int) -> str:
    """Return ``top/bottom`` in words: "setengah", "tiga suku", "dua pertiga", "lima belas per enam belas"."""
    if (top, bottom) == (1, 2):
        return "setengah"
    if bottom == 4 and top in (1, 3):
        return "suku" if top == 1 else "tiga suku"
    if 3 <= bottom <= 10 and 0 < top < bottom:
        return f"{cardinal(top)} per{cardinal(bottom)}"
    return f"{cardinal(top)} per {cardinal(bottom)}"
