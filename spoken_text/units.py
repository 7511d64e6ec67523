"""Rules that put units and percentages into words: "5 km", "30°C", "110 km/j", "RM5/kg", "5%"."""

from __future__ import annotations

import re
from typing import NamedTuple

from spoken_text.numbers import is_part_of_name, number, scale
from spoken_text.rules import EDGE, NUMBER, Rule, pick, rule


class _Unit(NamedTuple):
    malay: str
    one: str
    many: str


def _unit(malay: str, one: str, many: str = "") -> _Unit:
    return _Unit(malay, one, many or one + "s")


_UNITS = {
    "km": _unit("kilometer", "kilometre"),
    "m": _unit("meter", "metre"),
    "cm": _unit("sentimeter", "centimetre"),
    "mm": _unit("milimeter", "millimetre"),
    "μm": _unit("mikrometer", "micrometre"),
    "nm": _unit("nanometer", "nanometre"),
    "kg": _unit("kilogram", "kilogram"),
    "g": _unit("gram", "gram"),
    "mg": _unit("miligram", "milligram"),
    "mcg": _unit("mikrogram", "microgram"),
    "μg": _unit("mikrogram", "microgram"),
    "ml": _unit("mililiter", "millilitre"),
    "mL": _unit("mililiter", "millilitre"),
    "l": _unit("liter", "litre"),
    "L": _unit("liter", "litre"),
    "cc": _unit("si si", "C C", "C C"),
    "ha": _unit("hektar", "hectare"),
    "ft": _unit("kaki", "foot", "feet"),
    "kaki": _unit("kaki", "kaki", "kaki"),
    "lb": _unit("paun", "pound"),
    "lbs": _unit("paun", "pound"),
    "tbsp": _unit("sudu besar", "tablespoon"),
    "tsp": _unit("sudu kecil", "teaspoon"),
    "sdb": _unit("sudu besar", "tablespoon"),
    "sdt": _unit("sudu teh", "teaspoon"),
    "sdk": _unit("sudu kecil", "teaspoon"),
    "oz": _unit("auns", "ounce"),
    "km/j": _unit("kilometer sejam", "kilometre per hour", "kilometres per hour"),
    "km/h": _unit("kilometer sejam", "kilometre per hour", "kilometres per hour"),
    "km/jam": _unit("kilometer sejam", "kilometre per hour", "kilometres per hour"),
    "kmj": _unit("kilometer sejam", "kilometre per hour", "kilometres per hour"),
    "kmh": _unit("kilometer sejam", "kilometre per hour", "kilometres per hour"),
    "kph": _unit("kilometer sejam", "kilometre per hour", "kilometres per hour"),
    "mph": _unit("batu sejam", "mile per hour", "miles per hour"),
    "m/s": _unit("meter sesaat", "metre per second", "metres per second"),
    "m/s^2": _unit("meter sesaat kuasa dua", "metre per second squared", "metres per second squared"),
    "m/s2": _unit("meter sesaat kuasa dua", "metre per second squared", "metres per second squared"),
    "°C": _unit("darjah Celsius", "degree Celsius", "degrees Celsius"),
    "°F": _unit("darjah Fahrenheit", "degree Fahrenheit", "degrees Fahrenheit"),
    "°": _unit("darjah", "degree"),
    "KB": _unit("kilobait", "kilobyte"),
    "kB": _unit("kilobait", "kilobyte"),
    "MB": _unit("megabait", "megabyte"),
    "GB": _unit("gigabait", "gigabyte"),
    "TB": _unit("terabait", "terabyte"),
    "kbps": _unit("kilobit sesaat", "kilobit per second", "kilobits per second"),
    "Mbps": _unit("megabit sesaat", "megabit per second", "megabits per second"),
    "mbps": _unit("megabit sesaat", "megabit per second", "megabits per second"),
    "Gbps": _unit("gigabit sesaat", "gigabit per second", "gigabits per second"),
    "MB/s": _unit("megabait sesaat", "megabyte per second", "megabytes per second"),
    "W": _unit("watt", "watt"),
    "kW": _unit("kilowatt", "kilowatt"),
    "MW": _unit("megawatt", "megawatt"),
    "GW": _unit("gigawatt", "gigawatt"),
    "kWh": _unit("kilowatt jam", "kilowatt hour"),
    "kwh": _unit("kilowatt jam", "kilowatt hour"),
    "mAh": _unit("miliampere jam", "milliamp hour"),
    "V": _unit("volt", "volt"),
    "Hz": _unit("hertz", "hertz", "hertz"),
    "kHz": _unit("kilohertz", "kilohertz", "kilohertz"),
    "MHz": _unit("megahertz", "megahertz", "megahertz"),
    "GHz": _unit("gigahertz", "gigahertz", "gigahertz"),
    "kcal": _unit("kilokalori", "kilocalorie"),
    "kkal": _unit("kilokalori", "kilocalorie"),
    "cal": _unit("kalori", "calorie"),
    "kJ": _unit("kilojoule", "kilojoule"),
    "kps": _unit("kaki persegi", "square foot", "square feet"),
    "mmol": _unit("milimol", "millimole"),
    "mol": _unit("mol", "mole"),
    "mmHg": _unit("milimeter merkuri", "millimetre of mercury", "millimetres of mercury"),
    "bpm": _unit("degupan seminit", "beat per minute", "beats per minute"),
    "rpm": _unit("pusingan seminit", "revolution per minute", "revolutions per minute"),
    "fps": _unit("bingkai sesaat", "frame per second", "frames per second"),
    "ppm": _unit("bahagian sejuta", "part per million", "parts per million"),
    "dL": _unit("desiliter", "decilitre"),
    "dl": _unit("desiliter", "decilitre"),
    "cl": _unit("sentiliter", "centilitre"),
    "µg": _unit("mikrogram", "microgram"),
    "IU": _unit("unit antarabangsa", "international unit"),
    "inci": _unit("inci", "inch", "inches"),
    "kPa": _unit("kilopascal", "kilopascal"),
    "Pa": _unit("pascal", "pascal"),
    "hPa": _unit("hektopascal", "hectopascal"),
    "kN": _unit("kilonewton", "kilonewton"),
    "mV": _unit("milivolt", "millivolt"),
    "mA": _unit("miliampere", "milliamp"),
    "kV": _unit("kilovolt", "kilovolt"),
    "kVA": _unit("kilovolt ampere", "kilovolt ampere"),
    "hp": _unit("kuasa kuda", "horsepower", "horsepower"),
    "Nm": _unit("newton meter", "newton metre"),
    "Wh": _unit("watt jam", "watt hour"),
    "kWj": _unit("kilowatt jam", "kilowatt hour"),
    "MWh": _unit("megawatt jam", "megawatt hour"),
    "μs": _unit("mikrosaat", "microsecond"),
    "ns": _unit("nanosaat", "nanosecond"),
    "Gb": _unit("gigabit", "gigabit"),
    "Mb": _unit("megabit", "megabit"),
    "PB": _unit("petabait", "petabyte"),
    "dpi": _unit("titik seinci", "dot per inch", "dots per inch"),
    "Ω": _unit("ohm", "ohm"),
    "kΩ": _unit("kiloohm", "kilohm"),
    "lux": _unit("luks", "lux", "lux"),
    "lm": _unit("lumen", "lumen", "lumens"),
    "psi": _unit("psi", "P S I", "P S I"),
    "dB": _unit("desibel", "decibel"),
    "px": _unit("piksel", "pixel"),
    "MP": _unit("megapiksel", "megapixel"),
    "ms": _unit("milisaat", "millisecond"),
    "sec": _unit("saat", "second"),
    "secs": _unit("saat", "second"),
    "min": _unit("minit", "minute"),
    "mins": _unit("minit", "minute"),
    "hr": _unit("jam", "hour"),
    "hrs": _unit("jam", "hour"),
}
_AREA = {"m", "km", "cm", "mm", "ft", "kaki"}
for _name in sorted(_AREA):
    _base = _UNITS[_name]
    for _square in ("^2", "2", "²"):
        _UNITS[_name + _square] = _Unit(f"{_base.malay} persegi", f"square {_base.one}", f"square {_base.many}")
    for _cube in ("^3", "3", "³"):
        _UNITS[_name + _cube] = _Unit(f"{_base.malay} padu", f"cubic {_base.one}", f"cubic {_base.many}")
for _name in ("sq ft", "sqft", "sq. ft.", "sq. ft"):
    _UNITS[_name] = _UNITS["ft2"]

_BASES = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True) if "/" not in name)
_NAMES = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True))
_RIGHT = r"(?![\w^²³])"

# Unit after the slash of "RM5/kg" or "3 kali/hari" → the Malay and the English words for slash and unit.
_PER = {
    "hari": ("sehari", "per day"),
    "day": ("sehari", "per day"),
    "minggu": ("seminggu", "per week"),
    "week": ("seminggu", "per week"),
    "bulan": ("sebulan", "per month"),
    "bln": ("sebulan", "per month"),
    "month": ("sebulan", "per month"),
    "mth": ("sebulan", "per month"),
    "tahun": ("setahun", "per year"),
    "thn": ("setahun", "per year"),
    "year": ("setahun", "per year"),
    "jam": ("sejam", "per hour"),
    "hour": ("sejam", "per hour"),
    "hr": ("sejam", "per hour"),
    "minit": ("seminit", "per minute"),
    "min": ("seminit", "per minute"),
    "saat": ("sesaat", "per second"),
    "s": ("sesaat", "per second"),
    "orang": ("seorang", "per person"),
    "pax": ("seorang", "per person"),
    "person": ("seorang", "per person"),
    "malam": ("semalam", "per night"),
    "night": ("semalam", "per night"),
    "kg": ("sekilogram", "per kilogram"),
    "g": ("segram", "per gram"),
    "km": ("sekilometer", "per kilometre"),
    "l": ("seliter", "per litre"),
    "L": ("seliter", "per litre"),
    "liter": ("seliter", "per litre"),
    "unit": ("seunit", "per unit"),
    "kWh": ("sekilowatt jam", "per kilowatt hour"),
    "m2": ("semeter persegi", "per square metre"),
    "kaki": ("sekaki", "per foot"),
    "biji": ("sebiji", "each"),
    "keping": ("sekeping", "each"),
    "helai": ("sehelai", "each"),
    "kotak": ("sekotak", "per box"),
    "ekor": ("seekor", "each"),
}
_PER_NAMES = "|".join(sorted(_PER, key=len, reverse=True))
_PER_LONG = "|".join(sorted((name for name in _PER if len(name) > 2), key=len, reverse=True))


_MINUTE = re.compile(r"\bminit|\bminutes?\b", re.IGNORECASE)
_GOAL = re.compile(r"^[^'‘]*\b(?:gol|jaringan|menjaringkan|goals?|scored?)\b[^'‘]*$", re.IGNORECASE)


def _measure(match: re.Match[str], language: str) -> str:
    value = match[1]
    size = match[2]
    unit = _UNITS[match[3]]
    if re.fullmatch("[A-Z]", match[3]) and is_part_of_name(match):
        return match[0]
    name = unit.malay if language == "ms" else unit.one if value == "1" and not size else unit.many
    scaled = f" {scale(size, language)}" if size else ""
    return f"{number(value, language)}{scaled} {name}"


def _per(match: re.Match[str], language: str) -> str:
    return " " + pick(language, *_PER[match[1]])


def _ratio(match: re.Match[str], language: str) -> str:
    """Put a quotient of units into words: "3 kg/m²" becomes "tiga kilogram per meter persegi"."""
    value = match[1]
    above = _UNITS[match[2]]
    below = _UNITS[match[3]]
    if language != "ms":
        return f"{number(value, language)} {above.one if value == '1' else above.many} per {below.one}"
    under = below.malay
    joined = f"se{under}" if " " not in under and match[3] in _PER else f"per {under}"
    return f"{number(value, language)} {above.malay} {joined}"


def _each(match: re.Match[str], language: str) -> str:
    """Put the slash before a counted noun into words: "20g/hidangan" becomes "20g setiap hidangan"."""
    if match[2] in _PER:
        return match[0]
    return f"{match[1]} {pick(language, 'setiap', 'per')} {match[2]}"


def _per_number(match: re.Match[str], language: str) -> str:
    return " " + pick(language, *_PER[match[1]])


def _feet(match: re.Match[str], language: str) -> str:
    feet = match[1]
    inches = match[2]
    spoken = f"{number(feet, language)} {pick(language, 'kaki', 'foot' if feet == '1' else 'feet')}"
    if inches:
        spoken += f" {number(inches, language)} {pick(language, 'inci', 'inch' if inches == '1' else 'inches')}"
    return spoken


def _minute_of_play(match: re.Match[str], language: str) -> str:
    """Drop the prime after a minute of a football match: "gol 67'" becomes "gol minit 67"."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    if _MINUTE.search(before) or match.string.startswith((" minit", " minute"), match.end()):
        return match[1]
    return f"{pick(language, 'minit', 'minute')} {match[1]}" if _GOAL.search(before) else match[0]


def _inches(match: re.Match[str], language: str) -> str:
    """Put a double quote after a number into words as inches, unless it closes a quotation."""
    before = match.string[: match.start()]
    if before.count('"') % 2 or before.count("“") > before.count("”"):
        return match[0]
    return f"{number(match[1], language)} {pick(language, 'inci', 'inch' if match[1] == '1' else 'inches')}"


def _percent(match: re.Match[str], language: str) -> str:
    return f"{number(match[1], language)} {pick(language, 'peratus', 'per cent')}"


LONE_UNITS: list[Rule] = [
    rule(
        r"(?<![\w/.\-])(?<!alik )(?<!di )(?<!dari )(?<!ke )(?<!kat )"
        r"(km|kg|cm|mm|ml|kWh|Mbps|GB|MB|km/j|km/h|°C|mmHg)(?![\w/])",
        lambda m, lang: pick(lang, _UNITS[m[1]].malay, _UNITS[m[1]].many),
    ),
]

#: These rules are applied before amounts of money are put into words.
EACH: list[Rule] = [
    rule(rf"({EDGE}{NUMBER}\s?(?:{_BASES}))\s?/\s?(?=100 ?(?:km|kg|g|ml|mL)(?!\w))", lambda m, lang: f"{m[1]} per "),
    rule(
        rf"((?<![\w])(?:RM|\$|S\$|USD) ?{NUMBER})\s?/\s?"
        r"(?=\d{1,4} ?(?:km|kg|g|ml|mL|L|biji|keping|helai|ekor|bungkus|pek|pcs|orang|pax|hari|jam|bulan|tahun)(?!\w))",
        lambda m, lang: f"{m[1]} per ",
    ),
    rule(
        rf"((?<![\w])(?:RM|\$|S\$|USD) ?{NUMBER}|{EDGE}{NUMBER}\s?(?:{_BASES}))\s?/\s?([a-z]{{3,15}})(?![\w/])", _each
    ),
]

UNITS: list[Rule] = [
    rule(rf"{EDGE}({NUMBER})\s?%", _percent),
    rule(
        rf"{EDGE}(\d{{1,3}}(?:\.\d)?)[\"”]\s?[xX×]\s?(\d{{1,3}}(?:\.\d)?)[\"”]",
        lambda m, lang: (
            pick(lang, " inci darab ", " inches by ").join(number(side, lang) for side in (m[1], m[2]))
            + pick(lang, " inci", " inches")
        ),
    ),
    rule(
        rf"{EDGE}(\d{{1,3}})['’]\s?[xX×]\s?(\d{{1,3}})['’](?!\w)",
        lambda m, lang: (
            pick(lang, " kaki darab ", " feet by ").join(number(side, lang) for side in (m[1], m[2]))
            + pick(lang, " kaki", " feet")
        ),
    ),
    rule(rf"{EDGE}(\d{{1,2}})\s?(?:ft|feet)\s?(\d{{1,2}})\s?in(?!\w)", _feet),
    rule(rf"{EDGE}(\d{{1,2}})\s?['’]\s?(\d{{1,2}}(?:\.\d)?)(?:[\"”]|['’]{{2}}|(?=[\s,.)]|$))", _feet),
    rule(rf"{EDGE}(\d{{1,3}})()['’](?=\s(?:x|×|darab|tinggi|panjang|lebar|wide|tall|by)\b)", _feet),
    rule(rf"{EDGE}(\d{{1,4}}(?:\.\d{{1,3}})?)[\"”](?!\w)", _inches),
    rule(rf"{EDGE}(\d{{1,3}}(?:\+\d{{1,2}})?)['’](?=[\s,.;:)]|$)", _minute_of_play),
    rule(rf"{EDGE}({NUMBER})\s?({_BASES})\s?/\s?({_BASES}){_RIGHT}", _ratio),
    rule(rf"(?<=\d)/({_PER_LONG}){_RIGHT}", _per_number),
    rule(rf"{EDGE}({NUMBER})\s?(?:(ribu|juta|million) )?({_NAMES}){_RIGHT}", _measure),
    rule(rf"(?<=[a-zA-Z])\s?/\s?({_PER_NAMES}){_RIGHT}", _per),
    rule(  # after a fraction, which is in words by now: "1/2 tsp"
        r"(?<=[a-z] )(tsp|tbsp|sdb|sdt|sdk)\.?(?!\w)",
        lambda m, lang: pick(lang, _UNITS[m[1]].malay, _UNITS[m[1]].one),
    ),
    rule(r"(?<=\w)\s?%", lambda m, lang: pick(lang, " peratus", " per cent")),
]
