"""Turn number words into digits: "dua puluh satu" into 21, "nineteen fifty-seven" into 1957, "三十六" into 36.

This module is the inverse of ``numbers_ms``, ``numbers_en`` and ``numbers_zh``. ``error_rate`` uses it to compare
texts. Malay and English number words are recognised at the same time, so no language needs to be given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from spoken_text import numbers_en, numbers_ms

_ZEROS = frozenset(["kosong", "sifar", "zero", "nol"])
_UNITS = {name: value for value, name in enumerate(numbers_ms.DIGITS) if value}
_UNITS |= {name: value for value, name in enumerate(numbers_en.DIGITS) if value} | {"delapan": 8}
_TEENS = {numbers_en.below_hundred(value): value for value in range(10, 20)}
_TEENS |= {numbers_ms.cardinal(value): value for value in (10, 11)}
_TENS = {numbers_en.below_hundred(value): value for value in range(20, 100, 10)}
_SCALES = {"ribu": 3, "thousand": 3, "juta": 6, "million": 6, "bilion": 9, "billion": 9, "trilion": 12, "trillion": 12}
_ONE_OF = {"seratus": 100, "seribu": 10**3, "sejuta": 10**6, "sebilion": 10**9}
_POINTS = frozenset(["perpuluhan", "point", "titik"])
_ORDINALS = {numbers_en.ordinal(value): value for value in (*range(1, 20), *range(20, 100, 10), 100, 1000)}
_DECADES = frozenset(["puluhan", "ratusan", "ribuan"])
_ENDING = "-an"
_PLURALS = {name[:-1] + "ies": value for name, value in _TENS.items()}  # "nineties"
_FRACTIONS = {"thirds": 3, "quarters": 4} | {f"{numbers_en.ordinal(value)}s": value for value in range(5, 11)}
_DIGITS = re.compile(r"\d{1,15}")
# Minimum digits for joining adjacent numbers: "tiga tujuh kosong" is 370 (as in MH370), "dua tiga" stays two numbers.
_JOINED_FROM = 3


class _Found(NamedTuple):
    """A number found in a sequence of words.

    ``text``: the number in digits.
    ``following``: index of the word after the number.
    ``joins``: whether the number may be joined to an adjacent number before it.
    """

    text: str
    following: int
    joins: bool = True


def with_digits(words: Sequence[str]) -> list[str]:
    """Replace the number words in a text with digits. Return the new list of words.

    ``words``: words in lower case.

    In the result, each number is one item, without thousands separators. Adjacent numbers become one number if together
    they have at least three digits, such as digits read one by one, or a year read as two numbers ("nineteen
    fifty-seven").
    """
    words = _decades_split(words)
    out: list[str] = []
    run: list[str] = []  # adjacent numbers
    index = 0
    while index < len(words):
        found = _read(words, index, after_number=bool(run))
        if found is None or not found.joins:
            out += _joined(run)
            run = []
        if found is None:
            out.append(words[index])
            index += 1
            continue
        run.append(found.text)
        if not found.text.isdigit():  # nothing is joined to "5th" or "90an"
            out += _joined(run)
            run = []
        index = found.following
    return out + _joined(run)


def _joined(run: Sequence[str]) -> list[str]:
    """Join adjacent numbers into one if together they have at least ``_JOINED_FROM`` digits."""
    if len(run) > 1 and sum(char.isdigit() for text in run for char in text) >= _JOINED_FROM:
        return ["".join(run)]
    return list(run)


def _decades_split(words: Sequence[str]) -> Sequence[str]:
    """Split the ending "-an" from a decade of two words: "sembilan puluhan" becomes "sembilan puluh -an"."""
    if not any(word in _DECADES for word in words):
        return words
    out: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        is_decade = word in _DECADES and (before in _UNITS or _DIGITS.fullmatch(before))
        out += [word[:-2], _ENDING] if is_decade else [word]
    return out


def _read(words: Sequence[str], index: int, *, after_number: bool) -> _Found | None:
    """Return the number that begins at words[index], or None if no number begins there.

    ``after_number``: whether the previous word belongs to a number. "oh" is a zero only after a number.
    """
    word = words[index]
    following = words[index + 1] if index + 1 < len(words) else ""
    if word in ("oh", "o") and after_number and (following in _UNITS or _DIGITS.fullmatch(following)):
        return _Found("0", index + 1)
    if (ordinal := _ordinal(words, index)) is not None:
        return ordinal
    if word in _PLURALS:
        return _Found(f"{_PLURALS[word]}s", index + 1)
    if (cardinal := _cardinal(words, index)) is None:
        return None
    return _with_tail(words, *cardinal)


def _with_tail(words: Sequence[str], value: str, index: int) -> _Found:
    """Return a number with its decimals, its denominator or the ending of a decade, if one of these follows.

    ``value``: the number so far, in digits.
    ``index``: index of the next word.
    """
    word = words[index] if index < len(words) else ""
    if word in _POINTS and (decimals := _decimals(words, index + 1)):
        return _Found(f"{value}.{decimals.text}", decimals.following, joins=False)
    if word == _ENDING:
        return _Found(f"{value}an", index + 1)
    if word in _FRACTIONS:
        return _Found(f"{value}/{_FRACTIONS[word]}", index + 1, joins=False)
    if word == "suku":
        return _Found(f"{value}/4", index + 1, joins=False)
    if word.startswith("per") and (bottom := _UNITS.get(word[3:]) or _TEENS.get(word[3:])):
        return _Found(f"{value}/{bottom}", index + 1, joins=False)
    if word == "per" and (below := _cardinal(words, index + 1)) is not None:
        return _Found(f"{value}/{below[0]}", below[1], joins=False)
    return _Found(value, index)


def _decimals(words: Sequence[str], index: int) -> _Found | None:
    """Return the decimals that begin at words[index], after a spoken decimal point, or None if there are none.

    Decimals may be digits read one by one ("one four") or numbers below a hundred ("fourteen").
    """
    text = ""
    while index < len(words) and (part := _small_part(words, index)) is not None:
        text += part[0]
        index = part[1]
    return _Found(text, index) if text else None


def _small_part(words: Sequence[str], index: int) -> tuple[str, int] | None:
    if words[index] in _ZEROS or words[index] == "oh":
        return "0", index + 1
    if _DIGITS.fullmatch(words[index]):
        return words[index], index + 1
    found = _below_hundred(words, index)
    return None if found is None else (str(found[0]), found[1])


def _ordinal(words: Sequence[str], index: int) -> _Found | None:
    """Return the ordinal that begins at words[index], or None if no ordinal begins there.

    "kelima" and "ke 5" become "ke5", "twenty fifth" becomes "25th".
    """
    word = words[index]
    if word == "pertama":
        return _Found("ke1", index + 1, joins=False)
    if word == "ke" and index + 1 < len(words) and (found := _cardinal(words, index + 1)) is not None:
        return _Found(f"ke{found[0]}", found[1], joins=False)
    if word.startswith("ke") and len(word) > 3 and word != "kesatu":
        found = _cardinal([word[2:], *words[index + 1 : index + 12]], 0)
        if found is not None:
            return _Found(f"ke{found[0]}", index + found[1], joins=False)
    if word in _TENS and index + 1 < len(words) and _ORDINALS.get(words[index + 1], 10) < 10:
        value = _TENS[word] + _ORDINALS[words[index + 1]]
        return _Found(_with_suffix(value), index + 2, joins=False)
    return _Found(_with_suffix(_ORDINALS[word]), index + 1, joins=False) if word in _ORDINALS else None


def _with_suffix(value: int) -> str:
    if value % 100 in (11, 12, 13):
        return f"{value}th"
    return f"{value}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(value % 10, 'th') }"


def _cardinal(words: Sequence[str], index: int) -> tuple[str, int] | None:
    """Return the longest number that begins at words[index], or None if no number begins there.

    The result is the number in digits (below 10**15) and the index of the word after it.
    """
    if index < len(words) and words[index] in _ZEROS:
        return "0", index + 1
    total = 0
    below = 16  # exponent of the last scale word; the next one must be smaller
    first = index
    while index < len(words) and (group := _group(words, index)) is not None:
        amount, following, digits = group
        scale = _SCALES.get(words[following], 0) if following < len(words) else 0
        if amount >= 10**below or scale >= below or (scale and len(digits) > 3):
            break
        if not scale and amount >= 1000 and amount in _ONE_OF.values():
            scale = len(str(amount)) - 1  # "seribu" is treated as one thousand, after which more may follow
            amount = 1
        elif not scale:
            return (digits if digits and index == first else str(total + amount)), following
        else:
            following += 1
        total += amount * 10**scale
        below = scale
        index = following
        if words[index : index + 1] == ["and"] and index + 1 < len(words) and _group(words, index + 1) is not None:
            index += 1
    return (str(total), index) if total else None


def _group(words: Sequence[str], index: int) -> tuple[int, int, str] | None:
    """Return the part of a number before a scale word, or None if no such part begins at words[index].

    The part is a number below a thousand, a number such as "seribu" (one thousand), or a number in digits. The result
    is its value, the index of the next word and, if the part was written in digits, these digits (else "").
    """
    word = words[index]
    if _DIGITS.fullmatch(word):
        following = words[index + 1] if index + 1 < len(words) else ""
        if following not in ("ratus", "hundred", "puluh", "belas") or len(word) > 2:
            return int(word), index + 1, word
    if word == "a" and words[index + 1 : index + 2] and words[index + 1] in ("hundred", "thousand", "million"):
        if words[index + 1] != "hundred":
            return 1, index + 1, ""
        return _with_rest(words, 100, index + 2)
    if word in _ONE_OF and word != "seratus":
        return _ONE_OF[word], index + 1, ""
    if word == "seratus":
        return _with_rest(words, 100, index + 1)
    below = _below_hundred(words, index)
    if below is None:
        return None
    value, behind = below
    if words[behind : behind + 1] and words[behind] in ("ratus", "hundred"):
        return _with_rest(words, 100 * value, behind + 1)
    return value, behind, ""


def _with_rest(words: Sequence[str], hundreds: int, index: int) -> tuple[int, int, str]:
    """Add the number below a hundred that follows ``hundreds``, with or without "and" before it, if there is one.

    The result has the form of ``_group``'s result.
    """
    start = index + 1 if words[index : index + 1] == ["and"] else index
    if start < len(words) and (rest := _below_hundred(words, start)) is not None:
        return hundreds + rest[0], rest[1], ""
    return hundreds, index, ""


def _below_hundred(words: Sequence[str], index: int) -> tuple[int, int] | None:
    word = words[index]
    following = words[index + 1] if index + 1 < len(words) else ""
    if word in _TEENS:
        return _TEENS[word], index + 1
    if word in _TENS:
        return (_TENS[word] + _UNITS[following], index + 2) if following in _UNITS else (_TENS[word], index + 1)
    value = int(word) if _DIGITS.fullmatch(word) and len(word) == 1 else _UNITS.get(word)
    if value is None:
        return None
    if following == "belas":
        return 10 + value, index + 2
    if following == "puluh":
        ones = words[index + 2] if index + 2 < len(words) else ""
        return (10 * value + _UNITS[ones], index + 3) if ones in _UNITS else (10 * value, index + 2)
    return value, index + 1


_HAN_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "兩": 2} | dict(
    zip("三四五六七八九", range(3, 10), strict=True)
)
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_HAN_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_PERCENT = "\ue000"
_DIGIT = "".join(_HAN_DIGITS)
_SMALL = "".join(_HAN_SCALES)
_LARGE = "".join(_HAN_LARGE)
#: A numeral such as "三十六", or digits before a scale: "3万5千", "1.5亿".
_HAN_NUMBER = re.compile(
    rf"(?:(?<![\d.])\d{{1,15}}(?:\.\d{{1,9}})?(?=[{_SMALL}{_LARGE}])|[{_DIGIT}{_SMALL}{_LARGE}]){{1,40}}"
)
_HAN_DECIMAL = re.compile(rf"([{_DIGIT}{_SMALL}]{{1,40}})[点點]([{_DIGIT}]{{1,9}})(?=[{_LARGE}])")
_HAN_PART = re.compile(r"\d+(?:\.\d+)?|.")


def han_with_digits(text: str) -> str:
    """Replace Chinese numerals with digits: "三十六" becomes "36", "百分之六" becomes "6 %"."""
    if not _HAN_NUMBER.search(text):
        return text
    percent = text.replace("百分之", _PERCENT)
    percent = _HAN_DECIMAL.sub(lambda match: f"{_han(match[1])}.{_han(match[2])}", percent)
    digits = _HAN_NUMBER.sub(lambda match: f" {_han(match[0])} ", percent)
    digits = re.sub(r"(\d+) *[点點] *(\d+)(?! *[\d分钟鐘])", r"\1.\2", digits)
    return re.sub(rf"{_PERCENT} *(\d+(?:\.\d+)?)", r"\1 % ", digits)


def _han(numeral: str) -> str:
    if not any(char in _HAN_SCALES or char in _HAN_LARGE for char in numeral):
        return "".join(str(_HAN_DIGITS[char]) for char in numeral)
    total = section = digit = Decimal(0)
    for part in _HAN_PART.findall(numeral):
        if part in _HAN_SCALES:
            section += (digit or 1) * _HAN_SCALES[part]
            digit = Decimal(0)
        elif part in _HAN_LARGE:
            scale = _HAN_LARGE[part]
            if total < scale:  # "一万亿"
                total = (total + section + digit or Decimal(1)) * scale
            else:  # "三亿五千万"
                total += (section + digit) * scale
            section = digit = Decimal(0)
        else:
            digit = Decimal(_HAN_DIGITS.get(part, part))
    return f"{(total + section + digit).normalize():f}"
