"""Rules for numbers, money, dates, times and measures in Tamil text, as Malaysians read them."""

from __future__ import annotations

import re

from spoken_text.numbers_ta import NEGATIVE, cardinal, counted, digits, fraction, number, with_suffix
from spoken_text.rules import DASH, Rule, in_one_language

_EDGE = r"(?<![\w])(?<!\d[.,])"
_NUMBER = r"(?:\d{1,3}(?:,\d{2,3}){1,5}(?!\d)|\d{1,15})(?:\.\d{1,15})?"
_MONTHS = ("ஜனவரி பிப்ரவரி மார்ச் ஏப்ரல் மே ஜூன் ஜூலை ஆகஸ்ட் செப்டம்பர் அக்டோபர் நவம்பர் டிசம்பர்").split()
_CURRENCIES = {
    "RM": ("ரிங்கிட்", "சென்"),
    "MYR": ("ரிங்கிட்", "சென்"),
    "US$": ("அமெரிக்க டாலர்", "சென்ட்"),
    "USD": ("அமெரிக்க டாலர்", "சென்ட்"),
    "S$": ("சிங்கப்பூர் டாலர்", "சென்ட்"),
    "SGD": ("சிங்கப்பூர் டாலர்", "சென்ட்"),
    "$": ("டாலர்", "சென்ட்"),
    "€": ("யூரோ", "சென்ட்"),
    "EUR": ("யூரோ", "சென்ட்"),
    "£": ("பவுண்ட்", "பென்ஸ்"),
    "GBP": ("பவுண்ட்", "பென்ஸ்"),
    "₹": ("ரூபாய்", "பைசா"),
    "INR": ("ரூபாய்", "பைசா"),
    "Rs": ("ரூபாய்", "பைசா"),
}
_SIGNS = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_SCALES = {
    "k": "ஆயிரம்",
    "K": "ஆயிரம்",
    "m": "மில்லியன்",
    "M": "மில்லியன்",
    "b": "பில்லியன்",
    "B": "பில்லியன்",
}
_SCALE = "ஆயிரம்|லட்சம்|இலட்சம்|கோடி|மில்லியன்|பில்லியன்"
_UNITS = {
    "km": "கிலோமீட்டர்",
    "கிமீ": "கிலோமீட்டர்",
    "கி.மீ": "கிலோமீட்டர்",
    "கி.மீ.": "கிலோமீட்டர்",
    "கி.கி": "கிலோகிராம்",
    "kg": "கிலோகிராம்",
    "g": "கிராம்",
    "mg": "மில்லிகிராம்",
    "m": "மீட்டர்",
    "மீ": "மீட்டர்",
    "cm": "சென்டிமீட்டர்",
    "செ.மீ": "சென்டிமீட்டர்",
    "செ.மீ.": "சென்டிமீட்டர்",
    "mm": "மில்லிமீட்டர்",
    "ml": "மில்லிலிட்டர்",
    "mL": "மில்லிலிட்டர்",
    "l": "லிட்டர்",
    "L": "லிட்டர்",
    "m²": "சதுர மீட்டர்",
    "m^2": "சதுர மீட்டர்",
    "m2": "சதுர மீட்டர்",
    "km²": "சதுர கிலோமீட்டர்",
    "km^2": "சதுர கிலோமீட்டர்",
    "sq ft": "சதுர அடி",
    "ft": "அடி",
    "°C": "டிகிரி செல்சியஸ்",
    "°F": "டிகிரி ஃபாரன்ஹீட்",
    "°": "டிகிரி",
    "KB": "கிலோபைட்",
    "MB": "மெகாபைட்",
    "GB": "ஜிகாபைட்",
    "TB": "டெராபைட்",
    "Mbps": "மெகாபிட் வினாடிக்கு",
    "kWh": "கிலோவாட் மணி",
    "kW": "கிலோவாட்",
    "W": "வாட்",
    "V": "வோல்ட்",
    "MHz": "மெகாஹெர்ட்ஸ்",
    "GHz": "ஜிகாஹெர்ட்ஸ்",
    "Hz": "ஹெர்ட்ஸ்",
    "kcal": "கிலோகலோரி",
    "min": "நிமிடம்",
    "hr": "மணி நேரம்",
}
_UNIT_NAMES = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True))
_PER_HOUR = r"km/h|km/j|kmh|kmph|கிமீ/மணி|கி\.மீ\.?/மணி"
_DIGIT_CUES = (
    "தொலைபேசி|கைபேசி|எண்|எண்ணை|எண்ணுக்கு|அழைக்க|அழைக்கவும்|அழைத்து|குறியீடு|கடவுச்சொல்|OTP|TAC|PIN|கணக்கு|அடையாள|அஞ்சல்|போஸ்ட்கோட்|"
    "ஹாட்லைன்|வாட்ஸ்அப்|கடவுச்சீட்டு|குறுஞ்செய்தி"
)
# What a price may be for, after a slash: "RM8/kg".
_PER = {
    "kg": "ஒரு கிலோவுக்கு",
    "கிலோ": "ஒரு கிலோவுக்கு",
    "km": "ஒரு கிலோமீட்டருக்கு",
    "L": "ஒரு லிட்டருக்கு",
    "லிட்டர்": "ஒரு லிட்டருக்கு",
    "நாள்": "ஒரு நாளைக்கு",
    "வாரம்": "ஒரு வாரத்திற்கு",
    "மாதம்": "ஒரு மாதத்திற்கு",
    "ஆண்டு": "ஒரு ஆண்டுக்கு",
    "வருடம்": "ஒரு வருடத்திற்கு",
    "மணி": "ஒரு மணி நேரத்திற்கு",
    "நபர்": "ஒரு நபருக்கு",
    "இரவு": "ஒரு இரவுக்கு",
}
_MEASURED = (
    "கிலோ|மணி|நாள்|நாட்கள்|வாரம்|மாதம்|ஆண்டு|வருடம்|நிமிடம்|பேர்|நபர்|லிட்டர்|மீட்டர்|கப்|கோப்பை|டீஸ்பூன்|தேக்கரண்டி|மேசைக்கரண்டி|சிட்டிகை|"
    "முறை|மில்லியன்|பில்லியன்|லட்சம்|கோடி|ரிங்கிட்|டாலர்|ரூபாய்|சென்|கிராம்|அறை|வீடு|கார்|புத்தகம்|துண்டு|மாத்திரை|வாரத்த|மாதத்த"
)


def _sum(value: str, scale: str | None, sign: str) -> str:
    name, part = _CURRENCIES[sign]
    if scale:
        return f"{counted(value)} {_SCALES.get(scale, scale)} {name}"
    whole, _, decimals = value.replace(",", "").partition(".")
    if len(decimals) > 2:
        return f"{number(value)} {name}"
    cents = int(decimals.ljust(2, "0")) if decimals else 0
    spoken = [f"{counted(whole)} {name}"] if int(whole) or not cents else []
    return " ".join([*spoken, *([f"{counted(str(cents))} {part}"] if cents else [])])


def _money(match: re.Match[str]) -> str:
    return (f"{NEGATIVE} " if match[1] else "") + _sum(match[3], match[4], match[2])


def _money_range(match: re.Match[str]) -> str:
    return f"{number(match[2])} முதல் {_sum(match[3], match[4], match[1])}"


def _date(year: str | None, month: int, day: int, written: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return written
    return f"{cardinal(day)} {_MONTHS[month - 1]}" + (f" {cardinal(int(year))}" if year else "")


def _full_year(text: str) -> str:
    return text if len(text) == 4 else f"20{text}"


def _part_of_day(hour: int, mark: str) -> str:
    if mark.lower().startswith("a"):
        return "காலை"
    return "மதியம்" if hour == 12 else "மாலை" if hour < 7 else "இரவு"


def _clock(match: re.Match[str]) -> str:
    hour = int(match[1])
    minute = int(match[2])
    mark = match[3]
    if hour > 24 or minute > 59:
        return match[0]
    part = f"{_part_of_day(hour, mark)} " if mark else ""
    return part + (f"{cardinal(hour)} {cardinal(minute)}" if minute else cardinal(hour))


def _hour_mark(match: re.Match[str]) -> str:
    return f"{_part_of_day(int(match[1]), match[2])} {cardinal(int(match[1]))} மணி"


def _fraction(match: re.Match[str]) -> str:
    whole = match[1]
    top = int(match[2])
    bottom = int(match[3])
    if not bottom:
        return match[0]
    spoken = fraction(top, bottom)
    if whole and (top, bottom) == (1, 2):
        return with_suffix(whole.strip(), "ரை")
    return f"{number(whole.strip())} {spoken}" if whole else spoken


def _ordinal(match: re.Match[str]) -> str:
    if match[1] == "1" and match[2] == "வது":
        return "முதலாவது"
    return with_suffix(match[1], {"ம்": "ாம்", "ஆம்": "ாம்", "வது": "ாவது", "ஆவது": "ாவது"}[match[2]])


def _case(match: re.Match[str]) -> str:
    """Put a number with the locative ending into words: "2026-இல்", "10ல்"."""
    return with_suffix(match[1], "ில்")


def _range(match: re.Match[str]) -> str:
    low = match[1]
    high = match[2]
    if match.string[match.end() :].lstrip().startswith("="):
        return f"{number(low)} கழித்தல் {number(high)}"
    if re.match(rf"\s?(?:{_UNIT_NAMES}|[%％])(?![A-Za-z])", match.string[match.end() :]):
        return f"{number(low)} முதல் {high}"  # another rule reads the upper bound with its unit
    joined = "க்கு " if match.string[match.end() :].startswith(" என்ற") else " முதல் "  # a score
    return f"{number(low)}{joined}{number(high)}"


def _code(match: re.Match[str]) -> str:
    spoken = digits(match[2]) if len(match[2]) > 2 or match[2][0] == "0" else number(match[2])
    return f"{match[1]} {spoken}"


def _plain(match: re.Match[str]) -> str:
    """Put a number into words, and separate it by spaces from adjacent letters."""
    before = " " if match.start() and match.string[match.start() - 1].isalpha() else ""
    after = " " if match.end() < len(match.string) and match.string[match.end()].isalpha() else ""
    return before + number(match[0]) + after


RULES: list[Rule] = [
    # Numbers that identify something are read digit by digit.
    in_one_language(r"(?<![\w.])\+\d{1,3}[-\s]?\d{1,4}(?:[-\s]?\d{2,4}){1,4}(?!\d)", lambda m: "பிளஸ் " + digits(m[0])),
    in_one_language(r"(?<![\w.,-])\d{6}-\d{2}-\d{4}(?![\d-])", lambda m: digits(m[0])),
    in_one_language(r"(?<![\w.,-])0\d{1,2}[-\s]?\d{3,4}[-\s]?\d{3,4}(?![\d-])", lambda m: digits(m[0])),
    in_one_language(r"(?<![\w.,-])1-?[378]00-\d\d-?\d{4}(?![\d-])", lambda m: digits(m[0])),
    in_one_language(
        rf"((?:{_DIGIT_CUES})[^\d.,]{{0,12}}?)(?<![\d.,])(\d{{3,15}}(?:[- ]\d{{3,8}}){{0,3}})(?![\d.,%])",
        lambda m: m[1] + digits(m[2]),
        re.IGNORECASE,
    ),
    in_one_language(
        r"(?<![\w.,])(\d{3,5})(?=[- ]?(?:ஐ|க்கு|-க்கு|எண்ணை|எண்ணுக்கு)? ?(?:அழை|தொடர்பு|டயல்))", lambda m: digits(m[1])
    ),
    in_one_language(r"(?<![\w.,])(999|991|994|911|112)(?![\w%]|[.,]\d)", lambda m: digits(m[1])),
    in_one_language(r"(?<![\w.,])(\d{5})(?= (?:கோலாலம்பூர்|பினாங்கு|ஜொகூர்|ஈப்போ|சிலாங்கூர்))", lambda m: digits(m[1])),
    in_one_language(r"(?<![\w.,])\d{16,}", lambda m: digits(m[0])),
    # Dates.
    in_one_language(
        r"(?<![\d])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)", lambda m: _date(m[1], int(m[2]), int(m[3]), m[0])
    ),
    in_one_language(
        r"(?<![\d/])(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?![\d/])",
        lambda m: _date(_full_year(m[3]), int(m[2]), int(m[1]), m[0]),
    ),
    in_one_language(
        r"(?<![\d/])(1[3-9]|2\d|3[01])/(\d{1,2})(?![\d/])", lambda m: _date(None, int(m[2]), int(m[1]), m[0])
    ),
    in_one_language(
        rf"(?<![\w])((?:{_SIGNS})\.?\s?{_NUMBER}(?:\s?[-–—]\s?(?:{_SIGNS})?\s?{_NUMBER})?)\s?/\s?({'|'.join(_PER)})(?![\w²³^])",
        lambda m: f"{_PER[m[2]]} {m[1]}",  # in Tamil, this comes first
    ),
    # Amounts of money.
    in_one_language(
        rf"(?<![\w])({_SIGNS})\.?\s?({_NUMBER})\s?[-–—]\s?(?:\1)?\s?({_NUMBER})(?:\s({_SCALE}))?(?!\w)", _money_range
    ),
    in_one_language(rf"({DASH})?(?<![\w$])({_SIGNS})\.?\s?({_NUMBER})(?:\s?({_SCALE}|[kKmMbB](?![A-Za-z])))?", _money),
    in_one_language(rf"{_EDGE}({_NUMBER})\s?(USD|MYR|SGD|RM|€|£|₹)(?![A-Za-z0-9])", lambda m: _sum(m[1], None, m[2])),
    # Times of day.
    in_one_language(r"(?<![\d:])(\d{1,2}:\d\d)\s?[-–—]\s?(?=\d{1,2}:\d\d)", lambda m: m[1] + " முதல் "),
    in_one_language(r"(?<![\d:])(\d{1,2})[:](\d\d)(?:\s?([ap]\.?m\.?))?(?![\d:])", _clock, re.IGNORECASE),
    in_one_language(r"(?<![\d:])(\d{1,2})\.(\d\d)()(?=\s?மணி)", _clock),
    in_one_language(rf"{_EDGE}(\d{{1,2}})\s?([ap]\.?m\.?)(?![A-Za-z])", _hour_mark, re.IGNORECASE),
    # Per cent, fractions, ranges, measures.
    in_one_language(rf"{_EDGE}({_NUMBER})\s?%\s?[-–—]\s?(?={_NUMBER}\s?%)", lambda m: f"{number(m[1])} முதல் "),
    in_one_language(rf"{_EDGE}(\d{{1,4}}[ ])?(\d{{1,3}})[/⁄](\d{{1,4}})(?![\d/])", _fraction),
    in_one_language(rf"{_EDGE}({_NUMBER})\s?[-–—]\s?({_NUMBER})(?![\d-])", _range),
    in_one_language(rf"(?<![\w.)])({DASH})(?=\d)", lambda m: f"{NEGATIVE} "),
    in_one_language(rf"({_NUMBER})\s?[%％]", lambda m: f"{number(m[1])} சதவீதம்"),
    in_one_language(rf"({_NUMBER})\s?(?:{_PER_HOUR})(?!\w)", lambda m: f"மணிக்கு {number(m[1])} கிலோமீட்டர்"),
    in_one_language(rf"{_EDGE}({_NUMBER})\s?({_UNIT_NAMES})(?![\w²³^])", lambda m: f"{counted(m[1])} {_UNITS[m[2]]}"),
    in_one_language(r"[~≈]\s?(?=\w)", lambda m: "சுமார் "),
    in_one_language(r"(?<![\w.,])(\d{1,9})\+(?=\s|$)", lambda m: f"{number(m[1])}க்கு மேல்"),
    in_one_language(r"(?<=[\d)])\s?[×xX*]\s?(?=[\d(])", lambda m: " பெருக்கல் "),
    in_one_language(r"(?<=[\d)])\s?÷\s?(?=[\d(])", lambda m: " வகுத்தல் "),
    in_one_language(r"(?<=[\d)])\s?\+\s?(?=[\d(])", lambda m: " கூட்டல் "),
    in_one_language(r"(?<=[\d)])\s[-−]\s(?=[\d(])", lambda m: " கழித்தல் "),
    in_one_language(r"\s?=\s?(?=[\w-])", lambda m: " சமம் "),
    # Endings that are joined to the number.
    in_one_language(r"(?<![\w.,])(\d{1,9})\s?-?(ஆவது|வது|ஆம்|ம்)(?![\u0b80-\u0bff])", _ordinal),
    in_one_language(r"(?<![\w.,])(\d{1,9})-?(?:இல்|ல்)(?![\u0b80-\u0bff])", _case),
    # All other numbers.
    in_one_language(
        r"(?<![\d])(\d{1,4}(?:\.\d{1,4}){2,4})(?!\d)",
        lambda m: " புள்ளி ".join(number(part) for part in m[1].split(".")),
    ),
    in_one_language(r"([A-Za-z])-?(\d{1,9})(?![\d.])", _code),
    in_one_language(rf"(?<![\w.,])1(?= (?:{_MEASURED}))", lambda m: "ஒரு"),
    in_one_language(_NUMBER, _plain),
]
