"""Tamil number words. Compound numbers are joined by the rules of sandhi, as in written Tamil."""

from __future__ import annotations

DIGITS = ("பூஜ்ஜியம்", "ஒன்று", "இரண்டு", "மூன்று", "நான்கு", "ஐந்து", "ஆறு", "ஏழு", "எட்டு", "ஒன்பது")
POINT = "புள்ளி"
NEGATIVE = "மைனஸ்"
_TEENS = ("பத்து பதினொன்று பன்னிரண்டு பதின்மூன்று பதினான்கு பதினைந்து பதினாறு பதினேழு பதினெட்டு பத்தொன்பது").split()
_TENS = " பத்து இருபது முப்பது நாற்பது ஐம்பது அறுபது எழுபது எண்பது தொண்ணூறு".split(" ")
# Tens before a unit. Before a vowel they become one word: "இருபத்து" and "ஒன்று" give "இருபத்தொன்று".
_TENS_JOINED = " பத்து இருபத்து முப்பத்து நாற்பத்து ஐம்பத்து அறுபத்து எழுபத்து எண்பத்து தொண்ணூற்று".split(" ")
_HUNDREDS = " நூறு இருநூறு முந்நூறு நானூறு ஐநூறு அறுநூறு எழுநூறு எண்ணூறு தொள்ளாயிரம்".split(" ")
_HUNDREDS_JOINED = " நூற்று இருநூற்று முந்நூற்று நானூற்று ஐநூற்று அறுநூற்று எழுநூற்று எண்ணூற்று தொள்ளாயிரத்து".split(" ")
_VOWEL_SIGNS = {"ஒ": "ொ", "இ": "ி", "ஐ": "ை", "ஆ": "ா", "ஏ": "ே", "எ": "ெ"}
_SHORT_U = "\u0bc1"  # final vowel of every number below a hundred; a vowel that follows replaces it
_LARGE = ((10**12, "டிரில்லியன்"), (10**9, "பில்லியன்"), (10**6, "மில்லியன்"))


def digits(text: str) -> str:
    """Return the ASCII digits of ``text`` in words, one by one. Other characters are left out."""
    return " ".join(DIGITS[int(char)] for char in text if char in "0123456789")


def cardinal(number: int) -> str:
    """Return a number in words. ``number`` is from 0 to 10**15 - 1."""
    if number == 0:
        return DIGITS[0]
    parts: list[str] = []
    rest = number
    for size, name in _LARGE:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{'ஒரு' if count == 1 else cardinal(count)} {name}")
    lakhs, rest = divmod(rest, 100_000)
    if lakhs:
        parts.append(f"{'ஒரு' if lakhs == 1 else DIGITS[lakhs]} {'லட்சத்து' if rest else 'லட்சம்'}")
    thousands, rest = divmod(rest, 1000)
    if thousands:
        parts.append(_thousands(thousands) + ("த்து" if rest else "ம்"))
    if rest:
        parts.append(_below_thousand(rest))
    return " ".join(parts)


def _thousands(count: int) -> str:
    """Return ``count`` thousands in words, as a stem ("…ஆயிர"). The caller adds the ending "ம்" or "த்து"."""
    if count == 1:
        return "ஆயிர"
    if count == 3:
        return "மூவாயிர"
    word = _below_hundred(count)
    if word.endswith("ொன்று"):
        return word.removesuffix("ொன்று") + "ோராயிர"
    return word.removesuffix(_SHORT_U) + "ாயிர"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    return f"{_HUNDREDS_JOINED[hundreds]} {_below_hundred(rest)}" if rest else _HUNDREDS[hundreds]


def _below_hundred(number: int) -> str:
    tens, ones = divmod(number, 10)
    if tens == 0:
        return DIGITS[ones]
    if tens == 1:
        return _TEENS[ones]
    if not ones:
        return _TENS[tens]
    joined = _TENS_JOINED[tens]
    unit = DIGITS[ones]
    vowel = _VOWEL_SIGNS.get(unit[0])
    return f"{joined.removesuffix(_SHORT_U)}{vowel}{unit[1:]}" if vowel else f"{joined} {unit}"


def number(text: str) -> str:
    """Return a number such as "1,250.5" in words. A number such as "007" is read digit by digit."""
    whole, _, decimals = text.replace(",", "").partition(".")
    spoken = digits(whole) if len(whole) > 15 or (len(whole) > 1 and whole[0] == "0") else cardinal(int(whole or "0"))
    return f"{spoken} {POINT} {digits(decimals)}" if decimals else spoken


def counted(text: str) -> str:
    """Return a number in words, as used before a noun: "ஒரு" for one, otherwise the same as ``number``."""
    return "ஒரு" if text == "1" else number(text)


def with_suffix(text: str, suffix: str) -> str:
    """Return a number in words with an ending: "ஐந்தாம்", "ஆறில்".

    ``suffix``: a case or ordinal ending that begins with a vowel sign.
    """
    word = number(text)
    if word.endswith(_SHORT_U):
        return word.removesuffix(_SHORT_U) + suffix
    if word.endswith("ம்"):  # "ஆயிரம்": "ஆயிரத்தில்"
        return word.removesuffix("ம்") + "த்த" + suffix
    return f"{word}{suffix}"


def fraction(top: int, bottom: int) -> str:
    """Return ``top/bottom`` in words: "அரை", "முக்கால்", "மூன்றில் இரண்டு"."""
    named = {(1, 2): "அரை", (1, 4): "கால்", (3, 4): "முக்கால்"}
    return named.get((top, bottom)) or f"{with_suffix(str(bottom), 'ில்')} {cardinal(top)}"
