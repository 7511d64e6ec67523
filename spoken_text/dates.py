"""Dates and years, day first as in Malaysia."""

from __future__ import annotations

import re

from spoken_text.numbers import cardinal, ordinal, year
from spoken_text.rules import DASH, EDGE, END, Rule, pick, rule

_MALAY_MONTHS = "Januari Februari Mac April Mei Jun Julai Ogos September Oktober November Disember".split()
_ENGLISH_MONTHS = "January February March April May June July August September October November December".split()
_SHORT_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "ogo": 8,
    "sep": 9,
    "sept": 9,
    "oct": 10,
    "okt": 10,
    "nov": 11,
    "dec": 12,
    "dis": 12,
}
_MONTHS = _SHORT_MONTHS | {
    name.lower(): index + 1 for names in (_MALAY_MONTHS, _ENGLISH_MONTHS) for index, name in enumerate(names)
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAYS = "Isnin|Selasa|Rabu|Khamis|Jumaat|Sabtu|Ahad|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_YEAR_CUES = (
    "in since by from until till year years of late early before after during mid between circa to and through tahun "
    "around class fiscal"
).split()


def date(day: int, month: int, full_year: int | None, language: str) -> str:
    """`day`, `month` (1 to 12) and, where known, the year in words."""
    if language == "ms":
        spoken = f"{cardinal(day, 'ms')} {_MALAY_MONTHS[month - 1]}"
    else:
        spoken = f"the {ordinal(day, 'en')} of {_ENGLISH_MONTHS[month - 1]}"
    return f"{spoken} {year(full_year, language)}" if full_year is not None else spoken


def _full_year(text: str) -> int:
    value = int(text)
    return value if len(text) > 2 else value + (2000 if value < 70 else 1900)


def _numeric(match: re.Match[str], language: str) -> str:
    the, day, month, full_year = match[1] or "", int(match[2]), int(match[4]), _full_year(match[5])
    if month > 12 >= day:
        day, month = month, day
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return _after_the(the, date(day, month, full_year, language))


def _iso(match: re.Match[str], language: str) -> str:
    full_year, month, day = int(match[1]), int(match[3]), int(match[4])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return date(day, month, full_year, language) + (", " if match[5] else "")


def _short(match: re.Match[str], language: str) -> str:
    """A date without a year ("pada 12/3"), which only a word before it tells from a fraction."""
    day, month = int(match[2]), int(match[3])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return match[1] + date(day, month, None, language)


def _after_the(the: str, spoken: str) -> str:
    if spoken.startswith("the "):
        return (the or "the ") + spoken[4:]
    return the + spoken


def _day_month(match: re.Match[str], language: str) -> str:
    the, day, month = match[1] or "", int(match[2]), _MONTHS[match[4].lower()]
    if not 1 <= day <= 31:
        return match[0]
    full_year = _full_year(match[5]) if match[5] else None
    if language == "ms" and match[3] in ("hb", "hb."):
        tail = f" {year(full_year, 'ms')}" if full_year is not None else ""
        return f"{cardinal(day, 'ms')} hari bulan {_MALAY_MONTHS[month - 1]}{tail}"
    return _after_the(the, date(day, month, full_year, language))


def _days_month(match: re.Match[str], language: str) -> str:
    """A range of days before a month: "1-3 Jun"."""
    low, high = int(match[1]), int(match[2])
    joined = pick(language, "hingga", "to")
    first = cardinal(low, "ms") if language == "ms" else f"the {ordinal(low, 'en')}"
    return f"{first} {joined} {high} "


def _month_day(match: re.Match[str], language: str) -> str:
    month, day = _MONTHS[match[1].lower()], int(match[2])
    if not 1 <= day <= 31:
        return match[0]
    full_year = _full_year(match[3]) if match[3] else None
    if language == "ms":
        return date(day, month, full_year, "ms")
    tail = f", {year(full_year, 'en')}" if full_year is not None else ""
    return f"{_ENGLISH_MONTHS[month - 1]} {ordinal(day, 'en')}{tail}"


def _month_year(match: re.Match[str], language: str) -> str:
    month = _MONTHS[match[1].lower()]
    name = (_MALAY_MONTHS if language == "ms" else _ENGLISH_MONTHS)[month - 1]
    return f"{name} {year(int(match[2]), language)}"


def _year(match: re.Match[str], language: str) -> str:
    """In English a bare 1957 is a year where its neighbours allow it; in Malay both are read alike."""
    value = int(match[2])
    if language == "ms":
        return match[0]
    counts = re.match(
        r" (?!is\b|was\b|has\b|as\b)(?:[a-z]{2,}s|people|men|women|children|per)\b", match.string[match.end() :]
    )
    cued = (match[1] or "").strip().lower() in _YEAR_CUES
    if counts or (value % 100 == 0 and not cued and value != 2000):
        return match[0]
    return f"{match[1] or ''}{year(value, 'en')}"


def _two(text: str) -> str:
    return rf"(\d{{1,2}}){text}"


DATES: list[Rule] = [
    rule(rf"{EDGE}(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}})(?:(T)(?=\d\d:)|{END})", _iso),
    rule(rf"{EDGE}([Tt]he )?(\d{{1,2}})([-/.])(\d{{1,2}})\3(\d{{4}}|\d{{2}})(?![\w/])(?![-.]\d)", _numeric),
    rule(
        rf"(\b(?:pada|bertarikh|tarikh:?|hari ini|esok|on|dated|date:|(?:{_WEEKDAYS}),?) )"
        r"(\d{1,2})/(\d{1,2})(?![\w/])",
        _short,
        re.IGNORECASE,
    ),
    rule(rf"{EDGE}(\d{{1,2}})\s?{DASH}\s?(\d{{1,2}})\s(?=(?:{_MONTH}){END})", _days_month, re.IGNORECASE),
    rule(
        rf"{EDGE}([Tt]he )?(\d{{1,2}})(st|nd|rd|th|\s?hb\.?)?(?:\s|-)(?:of )?({_MONTH}){END}\.?"
        rf"(?:,?[\s-](\d{{4}}){END})?",
        _day_month,
        re.IGNORECASE,
    ),
    rule(
        rf"{EDGE}({_MONTH})\.?\s(\d{{1,2}})(?:st|nd|rd|th)?(?![\w:/%.])(?:,?\s(\d{{4}}){END})?",
        _month_day,
        re.IGNORECASE,
    ),
    rule(rf"{EDGE}({_MONTH})\.?,?\s(\d{{4}}){END}", _month_year, re.IGNORECASE),
    rule(
        rf"{EDGE}(\d{{1,2}})\s?hb{END}\.?",
        lambda m, lang: f"{cardinal(int(m[1]), lang)} {pick(lang, 'hari bulan', 'of the month')}",
    ),
]

YEARS: list[Rule] = [
    rule(rf"{EDGE}([A-Za-z]{{1,12}} )?((?:1[1-9]|20)\d\d)(?![\w%/])(?![.,]\d)(?!\s?(?:°|[-+×x*=]\s?\d))", _year),
]
