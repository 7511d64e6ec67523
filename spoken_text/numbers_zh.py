"""Mandarin number words, as Malaysians read them."""

from __future__ import annotations

DIGITS = "零一二三四五六七八九"
POINT = "点"
NEGATIVE = "负"
_PLACES = ((1000, "千"), (100, "百"), (10, "十"))
_GROUPS = ((10**12, "万亿"), (10**8, "亿"), (10**4, "万"))


def digits(text: str) -> str:
    """Return the ASCII digits of ``text`` in words, one by one. Other characters are left out."""
    return "".join(DIGITS[int(char)] for char in text if char in "0123456789")


def cardinal(number: int) -> str:
    """Return a number in words. ``number`` is from 0 to 10**16 - 1. Two is 两 before 百, 千, 万 and 亿."""
    if number == 0:
        return DIGITS[0]
    parts: list[str] = []
    rest = number
    gap = False
    for size, name in _GROUPS:
        count, rest = divmod(rest, size)
        if count:
            if parts and (gap or count < 1000):
                parts.append(DIGITS[0])
            parts.append(("两" if count == 2 else _below_ten_thousand(count)) + name)
            gap = False
        elif parts:
            gap = True
    if rest:
        if parts and (gap or rest < 1000):
            parts.append(DIGITS[0])
        parts.append(_below_ten_thousand(rest))
    words = "".join(parts)
    return words[1:] if words.startswith("一十") else words


def _below_ten_thousand(number: int) -> str:
    words = ""
    rest = number
    gap = False
    for size, name in _PLACES:
        count, rest = divmod(rest, size)
        if count:
            words += (DIGITS[0] if gap else "") + ("两" if count == 2 and size > 10 else DIGITS[count]) + name
            gap = False
        elif words:
            gap = True
    if rest:
        words += (DIGITS[0] if gap else "") + DIGITS[rest]
    return words


def number(text: str) -> str:
    """Return a number such as "1,250.5" in words. A number such as "007" is read digit by digit."""
    whole, _, decimals = text.replace(",", "").partition(".")
    spoken = digits(whole) if len(whole) > 16 or (len(whole) > 1 and whole[0] == "0") else cardinal(int(whole or "0"))
    return f"{spoken}{POINT}{digits(decimals)}" if decimals else spoken


def counted(text: str) -> str:
    """Return a number in words, as used before a measure word: 两 for two, otherwise the same as ``number``."""
    return "两" if text == "2" else number(text)
