"""English number words in British style ("one hundred and five"), as Malaysians read them."""

from __future__ import annotations

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
POINT = "point"
NEGATIVE = "minus"
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = " ten twenty thirty forty fifty sixty seventy eighty ninety".split(" ")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """Return a number in words. ``number`` is from 0 to 10**15 - 1."""
    if number == 0:
        return "zero"
    parts: list[str] = []
    for size, name in _SCALES:
        count, number = divmod(number, size)
        if count:
            parts.append(f"{_below_thousand(count)} {name}")
    if number:
        joined = "and " if parts and number < 100 else ""
        parts.append(joined + _below_thousand(number))
    return " ".join(parts)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts: list[str] = []
    if hundreds:
        parts.append(f"{DIGITS[hundreds]} hundred")
    if rest:
        parts.append(below_hundred(rest))
    return " and ".join(parts)


def below_hundred(number: int) -> str:
    """Return a number from 0 to 99 in words."""
    tens, ones = divmod(number, 10)
    if tens == 0:
        return DIGITS[ones]
    if tens == 1:
        return _TEENS[ones]
    return f"{_TENS[tens]}-{DIGITS[ones]}" if ones else _TENS[tens]


def ordinal(number: int) -> str:
    """Return a number as an ordinal: "first", "twenty-first" or "one hundredth"."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return words[:cut] + last


def year(number: int) -> str:
    """Return a year as people say it: "nineteen fifty-seven", "two thousand and five", "twenty twenty-six"."""
    century, rest = divmod(number, 100)
    if not 1000 <= number <= 2999 or (century in (10, 20) and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{below_hundred(century)} hundred"
    return f"{below_hundred(century)} {'oh ' if rest < 10 else ''}{below_hundred(rest)}"


def fraction(top: int, bottom: int) -> str:
    """Return ``top/bottom`` in words: "half", "three quarters", "two thirds", "fifteen over sixteen"."""
    if (top, bottom) == (1, 2):
        return "half"
    if not (2 < bottom <= 10 and 0 < top < bottom):
        return f"{cardinal(top)} over {cardinal(bottom)}"
    name = "quarter" if bottom == 4 else ordinal(bottom)
    return f"{'a' if (top, bottom) == (1, 4) else cardinal(top)} {name}{'s' if top > 1 else ''}"
