"""Rules for Roman numerals, such as "Bab IV" and "Elizabeth II". The word before them shows that they are numerals."""

from __future__ import annotations

import re

from spoken_text.numbers import cardinal, ordinal
from spoken_text.rules import Rule, rule

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN = r"(?=[IVXL])(?:X{0,3}|XL|LX{0,3})(?:IX|IV|V?I{0,3})"
_PARTS = (
    "Tingkatan|Bab|Perang Dunia|Bahagian|Jilid|Siri|Fasa|Peringkat|Jadual|Lampiran|Tahap|Gred|Form|Chapter|Part|Volume|"
    "Phase|World War|Section|Stage|Level|Book|Buku|Kelas|Class|Type|Jenis|Malaya|Rancangan Malaysia|Unit|Kategori|"
    "Kumpulan|Grade|Darjah|Seksyen|Topik|Tajuk|Babak|Fasal|Artikel|Perkara|Rajah|Pelan|Zon|Divisyen|Liga"
)
_RULERS = (
    "Elizabeth|Charles|George|Henry|Louis|William|Edward|Richard|James|Rama|Paus [A-Z][a-z]+|Pope [A-Z][a-z]+|"
    "Philip|Alexander|Nicholas|John Paul|Benedict|Francis|"
    "Napoleon|Abdul Hamid|Murad|Mehmed|Selim|Ramses|Ramesses|Pakubuwono|Hamengkubuwono"
)
_RULER_TITLES = "Sultan|Raja|Tuanku|Ratu|Maharaja|Paduka|King|Queen|Pope|Paus|Emperor|Maharajah|Kaisar|Syah"


def roman(text: str) -> int:
    """Return the value of a well-formed Roman numeral."""
    values = [_VALUES[char] for char in text]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _part(match: re.Match[str], language: str) -> str:
    return f"{match[1]} {cardinal(roman(match[2]), language)}"


def _chain(match: re.Match[str], language: str) -> str:
    """Put a list of Roman numerals into words: "Kelas V dan VI" becomes "Kelas lima dan enam"."""
    numeral = re.compile(rf"(?<![\w]){_ROMAN}(?!\w)")
    listed = numeral.sub(lambda m: cardinal(roman(m[0]), language) if m[0] else "", match[2])
    listed = re.sub(r"\s?[-–]\s?(?=[a-z])", " hingga " if language == "ms" else " to ", listed)
    return f"{match[1]} {listed}"


def _edition(match: re.Match[str], language: str) -> str:
    """Put the numeral of an event into words as an ordinal: "SUKMA XXI" becomes "SUKMA kedua puluh satu"."""
    the = "" if language == "ms" else "the "
    return f"{match[1]} {the}{ordinal(roman(match[2]), language)}"


def _ruler(match: re.Match[str], language: str) -> str:
    the = "" if language == "ms" else "the "
    return f"{match[1]} {the}{ordinal(roman(match[2]), language)}"


ROMANS: list[Rule] = [
    rule(
        rf"\b({_PARTS}) ({_ROMAN}(?:(?:, ?| dan | hingga | atau | & | and | to | or |\s?[-–]\s?){_ROMAN}(?!\w)){{1,5}})"
        r"(?![\w'’])",
        _chain,
    ),
    rule(rf"\b({_PARTS}) ({_ROMAN})(?![\w'’]|\.\w)", _part),
    rule(rf"\b((?:{_RULER_TITLES})(?: (?:bin |al-)?[A-Z][\w'’-]{{1,20}}){{1,4}}) ({_ROMAN})(?![\w'’])", _ruler),
    rule(rf"\b({_RULERS}) ({_ROMAN})(?![\w'’])", _ruler),
    rule(rf"\b([Kk])e-({_ROMAN})(?!\w)", lambda m, lang: ordinal(roman(m[2]), lang)),
    rule(r"\b([A-Z][a-z]{2,20}) (I{2,3}|IV|VI{1,3}|IX)(?![\w'’]|\.\w)", _part),
    rule(
        r"\b([A-Z][A-Za-z]{2,20}) ("
        r"(?:(?<=SEA )|(?<=SUKMA )|(?<=Olimpik )|(?<=Dunia )|(?<=Sukan ))XX{1,2}|"
        r"X{1,3}(?:IX|IV|V?I{1,3}|V)|XL(?:IX|IV|V?I{0,3}))(?![\w'’]|\.\w)",
        _edition,
    ),
]
