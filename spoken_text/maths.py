"""Signs between numbers, ranges and scores."""

from __future__ import annotations

import re

from spoken_text.numbers import cardinal
from spoken_text.rules import DASH, EDGE, END, NUMBER, Rule, pick, rule, words

_SCORE = re.compile(
    r"\b(?:menang|kalah|seri|tewas|skor|jaringan|keputusan|membelasah|menewaskan|mengalahkan|menundukkan|mengikat|"
    r"kemenangan|kekalahan|perlawanan|wins?|won|lost|lose|beats?|draw|drew|scored?|defeat|defeated|victory)\b",
    re.IGNORECASE,
)
_PART = r"(?:pagi|petang|malam|tengah ?hari|am|pm|a\.m\.|p\.m\.)"
_DAY = (
    r"(?:Isnin|Selasa|Rabu|Khamis|Jumaat|Sabtu|Ahad|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|"
    r"Januari|Februari|Mac|April|Mei|Jun|Julai|Ogos|September|Oktober|November|Disember|January|February|March|May|"
    r"June|July|August|October|December)"
)


def _to(language: str) -> str:
    return pick(language, " hingga ", " to ")


def _range(match: re.Match[str], language: str) -> str:
    """A tight "5-10" is a range, "3-1" after a word of sport a score, "10 - 5" with room around it a subtraction."""
    low, high = match[1], match[3]
    spaced = match[2] != match[2].strip()
    before = match.string[max(0, match.start() - 80) : match.start()]
    goals = low.isdigit() and high.isdigit() and len(low) <= 2 and len(high) <= 2 and not spaced
    if goals and (_SCORE.search(before) or int(high) < int(low) < 10):
        versus = " berbalas " if language == "ms" else " "
        zero = pick(language, "kosong", "nil")
        return versus.join(cardinal(int(side), language) if int(side) else zero for side in (low, high))
    after = match.string[match.end() : match.end() + 8].lstrip()
    falls = float(low.replace(",", "")) > float(high.replace(",", ""))
    if after.startswith("=") or falls or "−" in match[2]:
        return f"{low} {pick(language, 'tolak', 'minus')} {high}"
    return low + _to(language) + high


def _times(match: re.Match[str], language: str) -> str:
    return f"{match[1]} {pick(language, 'darab', 'times')} "


RANGES: list[Rule] = [
    rule(rf"{EDGE}({NUMBER})\s?x\s?(?=\d)", _times),
    rule(rf"(\d\s?{_PART})\s?{DASH}\s?(?=\d)", lambda m, lang: m[1] + _to(lang), re.IGNORECASE),
    rule(rf"{EDGE}(\d{{1,2}}[.:]\d\d)\s?{DASH}\s?(?=\d{{1,2}}[.:]\d\d(?!\d))", lambda m, lang: m[1] + _to(lang)),
    rule(
        rf"{EDGE}(\d{{1,2}})\s?{DASH}\s?(?=\d{{1,2}}\s?{_PART}{END})", lambda m, lang: m[1] + _to(lang), re.IGNORECASE
    ),
    rule(
        rf"{EDGE}({NUMBER}\s?(?:%|°C|km|kg|cm|mm|m|g|ml|GB|MB|tahun|hari))\s?[-–—]\s?(?={NUMBER}\s?(?:%|°|[a-zA-Z]))",
        lambda m, lang: m[1] + _to(lang),
    ),
    rule(rf"{EDGE}({NUMBER})(\s?{DASH}\s?)({NUMBER})(?!\d)(?!{DASH}\d)", _range),
]

_GREEK = {
    "π": "pi",
    "α": "alfa",
    "β": "beta",
    "γ": "gama",
    "δ": "delta",
    "Δ": "delta",
    "θ": "theta",
    "λ": "lambda",
    "μ": "miu",
    "σ": "sigma",
    "Σ": "sigma",
    "Ω": "ohm",
    "ω": "omega",
}

MATHS: list[Rule] = [
    rule(rf"\b({_DAY})\s?[-–—]\s?(?={_DAY}\b)", lambda m, lang: m[1] + _to(lang)),
    rule(r"(?<=\d)\s?[×*∗⋅]\s?(?=[\w(])", words(" darab ", " times ")),
    rule(r"×", words(" darab ", " times ")),
    rule(rf"{EDGE}(\d{{1,6}})x{END}", lambda m, lang: f"{m[1]} {pick(lang, 'kali', 'times')}"),
    rule(r"(?<=[\w)])\s?÷\s?|(?<=\d)\s/\s(?=\d)", words(" bahagi ", " divided by ")),
    rule(r"\^\s?2(?!\d)", words(" kuasa dua", " squared")),
    rule(r"\^\s?3(?!\d)", words(" kuasa tiga", " cubed")),
    rule(
        rf"\^\s?({DASH})?(?=\w)",
        lambda m, lang: pick(lang, " kuasa ", " to the power of ") + (pick(lang, "negatif ", "minus ") if m[1] else ""),
    ),
    rule(r"\s?(?:>=|≥|⩾)\s?", words(" lebih daripada atau sama dengan ", " greater than or equal to ")),
    rule(r"\s?(?:<=|≤|⩽)\s?", words(" kurang daripada atau sama dengan ", " less than or equal to ")),
    rule(r"\s?(?:!=|≠)\s?", words(" tidak sama dengan ", " is not equal to ")),
    rule(r"(?:≈|≃|≅)\s?", words(" lebih kurang ", " approximately ")),
    rule(r"(?<![\w~])~\s?(?=\d|RM|\$)", words("lebih kurang ", "about ")),
    rule(r"±\s?|\+/-\s?", words(" campur tolak ", " plus or minus ")),
    rule(r"(?<![<>=-])<\s?(?=-?[\w$])", words(" kurang daripada ", " less than ")),
    rule(r"(?<![<>=-])>\s?(?=-?[\w$])", words(" lebih daripada ", " more than ")),
    rule(r"\s?={1,3}\s?(?=\S)(?![=])", words(" sama dengan ", " equals ")),
    rule(r"(?<=[\w)])\s?\+\s?(?=[\w(])", words(" campur ", " plus ")),
    rule(r"(?<=\b[A-Z])\+(?!\w)", words(" plus", " plus")),
    rule(r"(?<=\d)\+(?!\w)", words(" ke atas", " plus")),
    rule(r"(?<=C)\+\+", words(" plus plus", " plus plus")),
    rule(r"√\s?", words(" punca kuasa dua ", " the square root of ")),
    rule(r"∞", words(" infiniti ", " infinity ")),
    rule(r"∑", words(" jumlah ", " the sum of ")),
    rule("[" + "".join(_GREEK) + "]", lambda m, lang: f" {_GREEK[m[0]]} "),
    rule(r"‰", words(" per seribu", " per thousand")),
    rule(r"°(?!\w)", words(" darjah", " degrees")),
    rule(
        rf"{EDGE}(\d{{1,4}})\s?:\s?(?=\d{{1,4}}{END})(?!\d\d\d)",
        lambda m, lang: f"{m[1]} {pick(lang, 'kepada', 'to')} ",
    ),
    rule(r"(?<=\d)\s[−-]\s(?=\d)", words(" tolak ", " minus ")),
    rule(r"\s?→\s?", words(", ", ", ")),
]
