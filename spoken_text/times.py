"""Times of day: "3.30 petang", "3:30pm", "15:30"."""

from __future__ import annotations

import re

from spoken_text.numbers import cardinal, digits
from spoken_text.rules import EDGE, END, Rule, pick, rule

_PART = r"pagi|petang|malam|tengah ?hari|tengah ?malam|subuh|ptg|mlm|pg"
_SHORT_PARTS = {"ptg": "petang", "mlm": "malam", "pg": "pagi"}
_AM_PM = r"[ap]\.?\s?m\b\.?"


def clock(hour: int, minute: int, language: str, *, hundred: bool = False) -> str:
    """The time in words; `hundred` says the minutes of a full hour too ("lima belas kosong kosong")."""
    spoken = cardinal(hour, language) if hour else digits("00" if hundred else "0", language)
    if minute == 0:
        return f"{spoken} {pick(language, 'kosong kosong', 'hundred')}" if hundred else spoken
    zero = pick(language, "kosong", "oh")
    return f"{spoken} {zero} {cardinal(minute, language)}" if minute < 10 else f"{spoken} {cardinal(minute, language)}"


def _part_of_day(hour: int, mark: str, language: str) -> str:
    """What "pm" is: in Malay a part of the day, in English its letters."""
    afternoon = mark.lower().startswith("p")
    if language == "en":
        return "P M" if afternoon else "A M"
    if hour == 12:
        return "tengah hari" if afternoon else "tengah malam"
    if afternoon:
        return "petang" if hour < 7 else "malam"
    return "pagi"


def _with_mark(match: re.Match[str], language: str) -> str:
    hour, minute, mark = int(match[1]), int(match[2] or 0), match[3]
    if hour > 24 or minute > 59:
        return match[0]
    # The full stop of "p.m." may be the sentence's too.
    rest = match.string[match.end() :].lstrip()
    stop = "." if mark.endswith(".") and (not rest or rest[0].isupper()) else ""
    return f"{clock(hour, minute, language)} {_part_of_day(hour, mark, language)}{stop}"


def _with_part(match: re.Match[str], language: str) -> str:
    hour, minute = int(match[1]), int(match[2])
    return (
        f"{clock(hour, minute, language)} {_SHORT_PARTS.get(match[3].lower(), match[3])}"
        if hour <= 24 and minute <= 59
        else match[0]
    )


def _after_word(match: re.Match[str], language: str) -> str:
    hour, minute = int(match[2]), int(match[3])
    return match[1] + clock(hour, minute, language) if hour <= 24 and minute <= 59 else match[0]


def _bare(match: re.Match[str], language: str) -> str:
    hour, minute, second = int(match[1]), int(match[2]), match[3]
    if hour > 24 or minute > 59:
        return match[0]
    if second is not None:
        return " ".join(cardinal(int(part), language) for part in (match[1], match[2], second))
    if (hour, minute) == (0, 0):
        return pick(language, "dua belas tengah malam", "twelve midnight")
    return clock(hour, minute, language, hundred=minute == 0 and (hour >= 13 or (match[1][0] == "0" and hour == 0)))


TIMES: list[Rule] = [
    rule(rf"{EDGE}(\d{{1,2}})(?:[.:](\d\d))?\s?({_AM_PM})(?!\w)", _with_mark, re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}})[.:](\d\d)\s?({_PART}){END}", _with_part, re.IGNORECASE),
    rule(r"(\b(?:pukul|jam|pkl|at|by) )(\d{1,2})\.(\d\d)(?![\w%])(?!\.\d)", _after_word, re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}}):(\d\d)(?::(\d\d))?(?:Z\b|{END})(?!:)", _bare),
]
