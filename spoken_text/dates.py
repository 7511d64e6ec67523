"""Rules that put dates and years into words. In "3/4/2026", the day comes first, as is usual in Malaysia."""

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
_SHORT_WEEKDAYS = dict(
    pair.split("=")
    for pair in "Mon=Monday Tue=Tuesday Tues=Tuesday Wed=Wednesday Thu=Thursday Thur=Thursday Thurs=Thursday "
    "Fri=Friday Sat=Saturday Sun=Sunday Isn=Isnin Sel=Selasa Rab=Rabu Kha=Khamis Jum=Jumaat Sab=Sabtu Ahd=Ahad".split()
)
_DAY = "|".join(sorted([*_SHORT_WEEKDAYS, *_WEEKDAYS.split("|")], key=len, reverse=True))
_HIJRI = (
    "Muharam|Muharram|Safar|Rabiulawal|Rabiulakhir|Jamadilawal|Jamadilakhir|Rejab|Syaaban|Ramadan|Ramadhan|Syawal|"
    "Zulkaedah|Zulkaidah|Zulhijah|Zulhijjah"
)
_ERAS = {
    "SM": ("Sebelum Masihi", "before Christ"),
    "S.M.": ("Sebelum Masihi", "before Christ"),
    "M": ("Masihi", "anno Domini"),
    "H": ("Hijrah", "Hijrah"),
    "BC": ("Sebelum Masihi", "B C"),
    "BCE": ("Sebelum Masihi", "B C E"),
    "AD": ("Masihi", "A D"),
    "CE": ("Masihi", "C E"),
}
_STRONG_CUES = re.compile(
    r"\b(?:pada|tarikh|bertarikh|tutup|deadline|due|cuti|jatuh|lahir|esok|lusa|semalam|on|dated?|birthday|expo|ekspo|"
    r"hari ini|lawatan|mesyuarat|majlis|exam|peperiksaan|kelas|jualan|promosi|tempoh|tempahan|bayaran|appointment|"
    r"temujanji|luput|tamat|berakhir|berlangsung|diadakan|closes?|opens?|"
    r"cut-?off|tayangan|penerbangan|check-?in|check-?out)\b[^.\d]{0,28}$",
    re.IGNORECASE,
)
_WEAK_CUES = re.compile(
    rf"\b(?:sebelum|selepas|lepas|sehingga|hingga|sampai|mulai?|bermula|dari|sejak|before|after|until|till|from|since|by|"
    rf"{_DAY})[ ,:(]{{1,3}}$",
    re.IGNORECASE,
)
_NOT_A_DATE = re.compile(
    r"\b(?:skor|score|markah|marks?|gred|grade|nisbah|ratio|mata|points?|rating|jalan|jln|lorong|seksyen|section|no|ss|"
    r"nombor|bahagi|darab|tambah|tolak|skala|penarafan|muka|page|saiz|size|resolusi|tekanan)\b[^.]{0,12}$|[-+*/=×÷] ?$",
    re.IGNORECASE,
)
_NUMBERED_IN_A_YEAR = re.compile(
    r"\b(?:bil|bilangan|pekeliling|edisi|keluaran|siri|akta|jilid|mesyuarat|no|nombor|number|issue|volume|vol|"
    r"tender|kes|case|invois|invoice|resit|receipt|ruj|rujukan|ref|reference|sebut harga|fail|file|kelas|kontrak|"
    r"permohonan|laporan|surat|minit)\b[^.\d]{0,48}$",
    re.IGNORECASE,
)
_OF_A_MEASURE = re.compile(
    r"\s?(?:cawan|sudu|cup|jam(?! \d)|daripada|kg|km|liter|gelas|"
    r"biji|keping|bahagian|hari|minit|tsp|tbsp|inci|of|hour|mile|"
    r"teaspoon|tablespoon|[-+*/=×÷])"
)
_COUNTED = re.compile(
    r" (?:hari|orang|buah|kali|ribu|juta|ekor|jam|minit|unit|pelajar|peratus|tahun|bulan|minggu|ringgit|sen|negara|"
    r"negeri|kes|days?|people|hours?|times|years?|percent)\b|\s?(?:%|RM)"
)
_YEAR_CUES = (
    "in since by from until till year years of late early before after during mid between circa to and through tahun "
    "around class fiscal"
).split()


def date(day: int, month: int, full_year: int | None, language: str) -> str:
    """Return a date in words.

    ``month``: 1 to 12.
    ``full_year``: None for a date without a year.
    """
    if language == "ms":
        spoken = f"{cardinal(day, 'ms')} {_MALAY_MONTHS[month - 1]}"
    else:
        spoken = f"the {ordinal(day, 'en')} of {_ENGLISH_MONTHS[month - 1]}"
    return f"{spoken} {year(full_year, language)}" if full_year is not None else spoken


def _full_year(text: str) -> int:
    value = int(text)
    return value if len(text) > 2 else value + (2000 if value < 70 else 1900)


def _numeric(match: re.Match[str], language: str) -> str:
    the = match[1] or ""
    day = int(match[2])
    month = int(match[4])
    full_year = _full_year(match[5])
    if month > 12 >= day:
        day, month = month, day
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return _after_the(the, date(day, month, full_year, language))


def _iso(match: re.Match[str], language: str) -> str:
    full_year = int(match[1])
    month = int(match[3])
    day = int(match[4])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return date(day, month, full_year, language) + (", " if match[5] else "")


def _short(match: re.Match[str], language: str) -> str:
    """Put dates without a year into words, unless they may be fractions: "pada 12/3" becomes "pada dua belas Mac".

    Numbers that could be a fraction or a ratio count as dates only after a cue word such as "pada".
    """
    found = [(int(day), int(month)) for day, month in re.findall(r"(\d{1,2})/(\d{1,2})", match[0])]
    if not all(1 <= day <= 31 and 1 <= month <= 12 for day, month in found):
        return match[0]
    unlike_a_fraction = any(day > 12 and day > month for day, month in found)
    before = match.string[max(0, match.start() - 48) : match.start()]
    if (24, 7) in found or not (unlike_a_fraction or any(char.isalpha() for char in before)):
        return match[0]
    if _OF_A_MEASURE.match(match.string, match.end()) or _NOT_A_DATE.search(before):
        return match[0]
    if not (unlike_a_fraction or _STRONG_CUES.search(before) or _WEAK_CUES.search(before)):
        return match[0]
    text = re.sub(r"(?<=\d)\s?[-–—]\s?(?=\d)", pick(language, " hingga ", " to "), match[0])
    return re.sub(r"(\d{1,2})/(\d{1,2})", lambda m: date(int(m[1]), int(m[2]), None, language), text)


def _months_of_years(match: re.Match[str], language: str) -> str:
    """Put a month and a year into words: "tamat 12/2025" becomes "tamat Disember dua ribu dua puluh lima".

    "Bil. 3/2024" is the third circular of 2024, so a month without a leading zero counts only after a cue word.
    """
    before = match.string[max(0, match.start() - 64) : match.start()]
    cued = match[0][0] == "0" or _STRONG_CUES.search(before) or _WEAK_CUES.search(before)
    if not cued or _NUMBERED_IN_A_YEAR.search(before):
        return match[0]
    names = _MALAY_MONTHS if language == "ms" else _ENGLISH_MONTHS
    found = re.findall(r"(\d{1,2})/(\d{4})", match[0])
    return pick(language, " hingga ", " to ").join(
        f"{names[int(month) - 1]} {year(int(full_year), language)}" for month, full_year in found
    )


def _days_of_a_month(match: re.Match[str], language: str) -> str:
    """Put a range of days in one month into words: "12-15/3", "12-15/3/2026", "12–15.3.2026"."""
    first, last, month = (int(match[name]) for name in ("first", "last", "month"))
    if match["year"] is None and _OF_A_MEASURE.match(match.string, match.end()):
        return f"{first} {last}/{month}"  # a mixed number: "1-3/4 cawan", "2-1/2 cawan"
    if not (1 <= first < last <= 31 and 1 <= month <= 12):
        return match[0]
    full_year = _full_year(match["year"]) if match["year"] else None
    spoken = cardinal(first, language) if language == "ms" else f"the {ordinal(first, language)}"
    return f"{spoken} {pick(language, 'hingga', 'to')} {date(last, month, full_year, language)}"


def _day_of_first_month(match: re.Match[str], language: str) -> str:
    """Put the first date of a range into words if only the last date has a year: "28/2" in "28/2-3/3/2026"."""
    day = int(match[1])
    month = int(match[2])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return date(day, month, None, language) + pick(language, " hingga ", " to ")


def _months(match: re.Match[str], language: str) -> str:
    names = _MALAY_MONTHS if language == "ms" else _ENGLISH_MONTHS
    first, last = (names[_MONTHS[name.lower()] - 1] for name in (match[1], match[2]))
    return f"{first} {pick(language, 'hingga', 'to')} {last}"


def _weekdays(match: re.Match[str], language: str) -> str:
    first, last = (_SHORT_WEEKDAYS.get(name, name) for name in (match[1], match[2]))
    return f"{first} {pick(language, 'hingga', 'to')} {last}"


def _era(match: re.Match[str], language: str) -> str:
    return f"{match[1]} {pick(language, *_ERAS[match[2]])}"


def _span(match: re.Match[str], language: str) -> str:
    return match[1] + pick(language, " hingga ", " to ")


def _after_the(the: str, spoken: str) -> str:
    if spoken.startswith("the "):
        return (the or "the ") + spoken[4:]
    return the + spoken


def _day_month(match: re.Match[str], language: str) -> str:
    the = match[1] or ""
    day = int(match[2])
    month = _MONTHS[match[4].lower()]
    if not 1 <= day <= 31:
        return match[0]
    full_year = _full_year(match[5]) if match[5] else None
    if language == "ms" and (match[3] or "").strip() in ("hb", "hb."):
        tail = f" {year(full_year, 'ms')}" if full_year is not None else ""
        return f"{cardinal(day, 'ms')} hari bulan {_MALAY_MONTHS[month - 1]}{tail}"
    return _after_the(the, date(day, month, full_year, language))


def _days_month(match: re.Match[str], language: str) -> str:
    """Put the first day of a range before a month's name into words: "1-3 Jun" becomes "satu hingga 3 Jun"."""
    first = cardinal(int(match[1]), "ms") if language == "ms" else f"the {ordinal(int(match[1]), 'en')}"
    return f"{first} {pick(language, 'hingga', 'to')} {match[2]} "


def _month_days(match: re.Match[str], language: str) -> str:
    """Put a range of days after a month's name into words: "March 12-15, 2026"."""
    first = int(match[2])
    last = int(match[3])
    if not 1 <= first < last <= 31:
        return match[0]
    month = _MONTHS[match[1].lower()]
    full_year = int(match[4])
    if language == "ms":
        return f"{cardinal(first, 'ms')} hingga {date(last, month, full_year, 'ms')}"
    days = f"{ordinal(first, 'en')} to {ordinal(last, 'en')}"
    return f"{_ENGLISH_MONTHS[month - 1]} {days}, {year(full_year, 'en')}"


def _month_day(match: re.Match[str], language: str) -> str:
    month = _MONTHS[match[1].lower()]
    day = int(match[2])
    if not 1 <= day <= 31 or (not match[3] and _COUNTED.match(match.string, match.end())):
        return match[0]  # a number of days: "Bulan Februari 28 hari sahaja"
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
    """Put an English year into words: "in 1957" becomes "in nineteen fifty-seven".

    A number before a counted noun ("1957 people") is not a year. In Malay, years are read like other numbers.
    """
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


DATES: list[Rule] = [
    rule(r"(\d{1,2}([/.-])\d{1,2}\2\d{2,4})\s?[-–—]\s?(?=\d{1,2}\2\d{1,2}\2\d{2,4})", _span),
    rule(rf"(\d{{1,2}} (?:{_MONTH})\.?(?: \d{{4}})?)\s?{DASH}\s?(?=\d{{1,2}} (?:{_MONTH}){END})", _span, re.IGNORECASE),
    rule(rf"((?:{_MONTH})\.? \d{{1,2}})\s?{DASH}\s?(?=(?:{_MONTH})\.? \d{{1,2}}{END})", _span, re.IGNORECASE),
    rule(
        rf"(?<!\w)({'|'.join(_SHORT_WEEKDAYS)})\.?(?=,? \d{{1,2}} (?:{_MONTH}){END})",
        lambda m, lang: _SHORT_WEEKDAYS[m[1]],
    ),
    rule(rf"((?:{_HIJRI}),? \d{{1,4}})\s?(H|M)\.?{END}", _era),
    rule(rf"{EDGE}(\d{{3,4}}) ?(SM|S\.M\.|BCE|BC)(?!\w)", _era),
    rule(rf"{EDGE}(\d{{1,2}}) (SM|S\.M\.)(?!\w)", _era),
    rule(r"((?<![\w.,])\d{3,4}) (M|H|AD|CE)(?![\w/])", _era),
    rule(r"((?<![\w.,])\d{3,4})(H)(?![\w/])", _era),
    rule(r"(\b[Kk]e-?\d{1,2}) (SM|M|H)(?![\w/])", _era),
    rule(r"(\b(?:tahun|kurun|abad|sekitar) \d{3,4})(M)(?![\w/])", _era),
    rule(rf"{EDGE}(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}})(?:(T)(?=\d\d:)|{END})", _iso),
    # Ranges come before single dates, whose rules would match the last date of a range.
    rule(rf"{EDGE}(\d{{1,2}})/(\d{{1,2}})\s?{DASH}\s?(?=\d{{1,2}}/\d{{1,2}}/\d{{2,4}}(?![\w/]))", _day_of_first_month),
    rule(
        rf"{EDGE}(?<!\d/)(?P<first>\d{{1,2}})\s?{DASH}\s?(?P<last>\d{{1,2}})/(?P<month>\d{{1,2}})"
        r"(?:/(?P<year>\d{4}|\d{2}))?(?![\w/])",
        _days_of_a_month,
    ),
    rule(
        rf"{EDGE}(?P<first>\d{{1,2}})\s?(?:[–—]|-(?=\s?\d{{1,2}}\.))\s?(?P<last>\d{{1,2}})([-.])(?P<month>\d{{1,2}})\3"
        r"(?P<year>\d{4})(?![\w/])(?![-.]\d)",
        _days_of_a_month,
    ),
    rule(rf"{EDGE}([Tt]he )?(\d{{1,2}})([-/.])(\d{{1,2}})\3(\d{{4}}|\d{{2}})(?![\w/])(?![-.]\d)", _numeric),
    rule(
        rf"{EDGE}(?:0?[1-9]|1[0-2])/(?:19|20)\d\d(?:\s?{DASH}\s?(?:0?[1-9]|1[0-2])/(?:19|20)\d\d)?(?![\w/-])(?!\.\d)",
        _months_of_years,
    ),
    rule(
        rf"{EDGE}\d{{1,2}}/\d{{1,2}}(?:(?:, ?| dan | atau | hingga | sampai | and | or | to | & |\s?{DASH}\s?)"
        r"\d{1,2}/\d{1,2}){0,6}(?![\w/])(?!\.\d)",
        _short,
    ),
    rule(
        rf"{EDGE}(\d{{1,2}})(?:st|nd|rd|th|\s?hb\.?)?\s?{DASH}\s?(\d{{1,2}}(?:st|nd|rd|th|\s?hb\.?)?)\s(?=(?:{_MONTH}){END})",
        _days_month,
        re.IGNORECASE,
    ),
    rule(
        rf"{EDGE}({_MONTH})\.?\s(\d{{1,2}})\s?{DASH}\s?(\d{{1,2}})(?![\w:/%.-]),?\s(\d{{4}}){END}",
        _month_days,
        re.IGNORECASE,
    ),
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

#: Rules that are also applied to texts without a digit.
NAMED_DAYS: list[Rule] = [
    rule(
        r"(?<!\w)(Jan|Feb|Apr|Jul|Aug|Ogo|Sep|Sept|Oct|Okt|Nov|Dec|Dis)(?=:)",
        lambda m, lang: (_MALAY_MONTHS if lang == "ms" else _ENGLISH_MONTHS)[_MONTHS[m[1].lower()] - 1],
    ),
    rule(rf"(?<![\w-])({_MONTH})\s?{DASH}\s?({_MONTH}){END}(?!-)", _months, re.IGNORECASE),
    rule(rf"(?<![\w-])({_DAY})\s?{DASH}\s?({_DAY}){END}(?!-)", _weekdays),
]

YEARS: list[Rule] = [
    rule(rf"{EDGE}([A-Za-z]{{1,12}} )?((?:1[1-9]|20)\d\d)(?![\w%/])(?![.,]\d)(?!\s?(?:°|[-+×x*=]\s?\d))", _year),
]
