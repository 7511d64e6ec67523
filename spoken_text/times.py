"""Rules that put times of day and durations into words: "3.30 petang", "3:30pm", "15:30", "1h 30m"."""

from __future__ import annotations

import re

from spoken_text.numbers import cardinal, digits, number
from spoken_text.rules import DASH, EDGE, END, Rule, pick, rule, words

PART_OF_DAY = r"pagi|petang|malam|tengah ?hari|tengah ?malam|subuh|ptg|mlm|pg|tgh|senja|dinihari"
_NOT_COUNTED = r"(?! (?:setahun|sebulan|seminggu|lebih|latihan|of|a|per|each|every)\b)"
_SHORT_PARTS = {"ptg": "petang", "mlm": "malam", "pg": "pagi", "tgh": "tengah hari"}
_RANGE_CUES = re.compile(
    r"\b(?:buka|dibuka|tutup|waktu|masa|jam|pukul|pkl|kaunter|rehat|operasi|kelas|sesi|slot|mesyuarat|open|opens|hours?|"
    r"from|isnin|selasa|rabu|khamis|jumaat|sabtu|ahad|jadual|bermula|mula|taklimat|ceramah)\b",
    re.IGNORECASE,
)
_MINUTES = r"(?:minit|minits|mins?|m)"
_SECONDS = r"(?:saat|secs?|s)"
_HOURS = r"(?:jam|hrs?|hours?|h|j)"
_AM_PM = r"[ap]\.?\s?m\b\.?"


def clock(hour: int, minute: int, language: str, *, hundred: bool = False) -> str:
    """Return a time of day in words.

    ``hundred``: whether the minutes of a full hour are said too, as in "lima belas kosong kosong".
    """
    spoken = cardinal(hour, language) if hour else digits("00" if hundred else "0", language)
    if minute == 0:
        return f"{spoken} {pick(language, 'kosong kosong', 'hundred')}" if hundred else spoken
    zero = pick(language, "kosong", "oh")
    return f"{spoken} {zero} {cardinal(minute, language)}" if minute < 10 else f"{spoken} {cardinal(minute, language)}"


def _part_of_day(hour: int, mark: str, language: str) -> str:
    """Return "am" or "pm" in words: the letters in English, a part of the day such as "petang" in Malay.

    ``mark``: "am" or "pm", possibly with full stops.
    """
    afternoon = mark.lower().startswith("p")
    if language == "en":
        return "P M" if afternoon else "A M"
    if hour == 12:
        return "tengah hari" if afternoon else "tengah malam"
    if afternoon:
        return "petang" if hour < 7 else "malam"
    return "pagi"


def _with_mark(match: re.Match[str], language: str) -> str:
    hour = int(match[1])
    minute = int(match[2] or 0)
    mark = match[3]
    if hour > 24 or minute > 59:
        return match[0]
    # The full stop of "p.m." may also end the sentence.
    rest = match.string[match.end() :].lstrip()
    stop = "." if mark.endswith(".") and (not rest or rest[0].isupper()) else ""
    return f"{clock(hour, minute, language)} {_part_of_day(hour, mark, language)}{stop}"


def _with_part(match: re.Match[str], language: str) -> str:
    hour = int(match[1])
    minute = int(match[2])
    return (
        f"{clock(hour, minute, language)} {_SHORT_PARTS.get(match[3].lower(), match[3])}"
        if hour <= 24 and minute <= 59
        else match[0]
    )


def _after_word(match: re.Match[str], language: str) -> str:
    hour = int(match[2])
    minute = int(match[3])
    return match[1] + clock(hour, minute, language) if hour <= 24 and minute <= 59 else match[0]


def _bare(match: re.Match[str], language: str) -> str:
    hour = int(match[1])
    minute = int(match[2])
    second = match[3]
    if hour > 24 or minute > 59:
        return match[0]
    if second is not None:
        return " ".join(cardinal(int(part), language) for part in (match[1], match[2], second))
    if (hour, minute) == (0, 0):
        return pick(language, "dua belas tengah malam", "twelve midnight")
    return clock(hour, minute, language, hundred=minute == 0 and (hour >= 13 or (match[1][0] == "0" and hour == 0)))


def _four_digits(match: re.Match[str], language: str) -> str:
    """Put a time of four digits into words: "jam 1430" becomes "jam empat belas tiga puluh"."""
    hour = int(match[2][:2])
    minute = int(match[2][2:])
    if hour > 24 or minute > 59:
        return match[0]
    spoken = digits(match[2], language) if match[2][0] == "0" else clock(hour, minute, language, hundred=True)
    return match[1] + spoken


def _military(match: re.Match[str], language: str) -> str:
    """Put a time such as "1430 hrs" into words: "jam empat belas tiga puluh", in English "fourteen thirty hours"."""
    hour = int(match[2][:2])
    minute = int(match[2][2:])
    before = match[1] or pick(language, "jam ", "")
    spoken = digits(match[2], language) if match[2][0] == "0" else clock(hour, minute, language, hundred=True)
    return before + spoken + pick(language, "", " hours")


def _clock_range(match: re.Match[str], language: str) -> str:
    """Put a range of times such as "9.00-12.45" into words, unless it may be a range of other numbers.

    It is a range of times if any of these is true:

    - it has colons;
    - it follows a cue word such as "buka";
    - it precedes a part of the day;
    - the minutes are multiples of five and one of the hours is 8 or later.
    """
    start = (int(match[1]), int(match[2]))
    end = (int(match[4]), int(match[5]))
    if any(hour > 24 or minute > 59 for hour, minute in (start, end)):
        return match[0]
    colons = ":" in match[0]
    before = match.string[max(0, match.start() - 40) : match.start()]
    on_the_clock = start[1] % 5 == 0 and end[1] % 5 == 0
    if not (colons or match[6] or _RANGE_CUES.search(before) or (on_the_clock and max(start[0], end[0]) >= 8)):
        return match[0]
    hundred = max(start[0], end[0]) > 12
    part = f" {_SHORT_PARTS.get(match[6].lower(), match[6])}" if match[6] else ""
    joined = pick(language, "hingga", "to")
    spoken = [clock(*time, language, hundred=hundred and time[0] > 12) for time in (start, end)]
    return f"{spoken[0]} {joined} {spoken[1]}{part}"


def _duration(match: re.Match[str], language: str) -> str:
    """Put a duration of hours, minutes and seconds into words: "2j15m" becomes "dua jam lima belas minit"."""
    names = (("jam", "hour"), ("minit", "minute"), ("saat", "second"))
    spoken = []
    for value, (malay, english) in zip(match.groups(), names, strict=True):
        if value:
            name = pick(language, malay, english if value == "1" else english + "s")
            spoken.append(f"{number(value, language)} {name}")
    return " ".join(spoken)


def _hours(match: re.Match[str], language: str) -> str:
    if language == "ms" and match[0].endswith(" hr"):
        return f"{number(match[1], language)} hari"  # in Malay chats, "hr" is "hari" (day)
    return f"{number(match[1], language)} {pick(language, 'jam', 'hour' if match[1] == '1' else 'hours')}"


def _seconds(match: re.Match[str], language: str) -> str:
    return f"{number(match[1], language)} {pick(language, 'saat', 'second' if match[1] == '1' else 'seconds')}"


def _attached(match: re.Match[str], language: str) -> str:
    """Put an hour with an attached part of the day into words: "9mlm" becomes "sembilan malam"."""
    return f"{number(match[1], language)} {_SHORT_PARTS.get(match[2].lower(), match[2])}"


#: Abbreviations of the parts of a day in chat messages and notices.
PARTS: list[Rule] = [
    rule(r"(?<![\w/])(?:t/hari|tgh\.? ?hari|t\.hari)(?!\w)", words("tengah hari", "noon"), re.IGNORECASE),
    rule(r"(?<![\w/])(?:t/malam|tgh\.? ?(?:malam|mlm))(?!\w)", words("tengah malam", "midnight"), re.IGNORECASE),
]

DURATIONS: list[Rule] = [
    rule(
        rf"{EDGE}(\d{{1,3}})\s?{_HOURS}\s?(?:dan )?(\d{{1,2}})\s?{_MINUTES}(?:\s?(\d{{1,2}})\s?{_SECONDS})?{END}",
        _duration,
    ),
    rule(rf"{EDGE}()(\d{{1,3}})\s?{_MINUTES}\s?(\d{{1,2}})\s?{_SECONDS}{END}", _duration),
    rule(rf"{EDGE}(\d{{1,3}}(?:\.\d{{1,2}})?)(?:\s?(?:j|hrs?)|h){END}(?!/)", _hours),
    rule(rf"{EDGE}(?<!the )(\d{{1,2}})s{END}(?!/)", lambda m, lang: _seconds(m, lang) if lang == "ms" else m[0]),
    rule(rf"{EDGE}(\d{{1,3}}\.\d{{1,3}})s{END}(?!/)", _seconds),
]


def _four_digit_range(match: re.Match[str], language: str) -> str:
    """Put a range of times of four digits into words, digit by digit: "0900 - 1700", "jam 0800 hingga 1430"."""
    joined = pick(language, "hingga", "to")
    return f"{match[1] or ''}{digits(match[2], language)} {joined} {digits(match[3], language)}"


TIMES: list[Rule] = [
    rule(
        rf"(\b(?:jam|pukul|waktu) )?(?<![\w.,-])((?:0\d|1\d)[0-5]\d)\s?(?:{DASH}|hingga|sampai|to)\s?"
        r"((?:[01]\d|2[0-4])[0-5]\d)(?![\w,.-])",
        lambda m, lang: _four_digit_range(m, lang) if m[1] or m[2][0] == "0" else m[0],
    ),
    rule(
        rf"{EDGE}(\d{{1,2}})[.:](\d\d)\s?({DASH}|hingga|sampai|to)\s?(\d{{1,2}})[.:](\d\d)(?:\s?({PART_OF_DAY}){END})?"
        r"(?![\w%:])(?!\.\d)(?!\s?(?:[ap]\.?m|kg|km|cm|mm|juta|peratus|meter|saat))",
        _clock_range,
        re.IGNORECASE,
    ),
    rule(rf"(\b(?:jam|pukul|pkl|waktu|at) )?{EDGE}((?:[01]\d|2[0-4])[0-5]\d)\s?hrs{END}{_NOT_COUNTED}", _military),
    rule(
        r"(\b(?:jam|pukul|pkl|waktu|at) )(\d{4})(?![\w%.,/]\d|\w)(?! (?:orang|ringgit|tahun))",
        _four_digits,
        re.IGNORECASE,
    ),
    rule(rf"{EDGE}()(\d{{4}})(?=\s?(?:hrs|hours|jam)\b)", _four_digits, re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}})({PART_OF_DAY}){END}", _attached, re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}})(?:[.:](\d\d))?\s?({_AM_PM})(?!\w)", _with_mark, re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}})[.:](\d\d)\s?({PART_OF_DAY}){END}", _with_part, re.IGNORECASE),
    rule(r"(\b(?:pukul|jam|pkl|at|by) )(\d{1,2})\.(\d\d)(?![\w%])(?!\.\d)", _after_word, re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}}):(\d\d)(?::(\d\d))?(?:Z\b|{END})(?!:)", _bare),
]
