"""Rules that put mathematical symbols, ranges and scores into words."""

from __future__ import annotations

import re

from spoken_text.acronyms import spell
from spoken_text.numbers import cardinal
from spoken_text.rules import DASH, EDGE, END, NUMBER, Rule, pick, rule, words

_SCORE = re.compile(
    r"\b(?:menang|kalah|seri|tewas|skor|jaringan|keputusan|membelasah|menewaskan|mengalahkan|menundukkan|mengikat|"
    r"kemenangan|kekalahan|perlawanan|wins?|won|lost|lose|beats?|draw|drew|scored?|defeat|defeated|victory)\b",
    re.IGNORECASE,
)
_SHOP = re.compile(r"\b(?:nombor|number|unit|lot|blok|block) $", re.IGNORECASE)
_PART = r"(?:pagi|petang|malam|tengah ?hari|tengah ?malam|ptg|mlm|pg|tgh|am|pm|a\.m\.?|p\.m\.?)"
_DAY = (
    r"(?:Isnin|Selasa|Rabu|Khamis|Jumaat|Sabtu|Ahad|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|"
    r"Januari|Februari|Mac|April|Mei|Jun|Julai|Ogos|September|Oktober|November|Disember|January|February|March|May|"
    r"June|July|August|October|December)"
)


_KEY_NAMES = {"Ctrl": "Control", "Del": "Delete", "Esc": "Escape", "Cmd": "Command", "Win": "Windows"}
_KEYS = "Ctrl|Control|Alt|Shift|Cmd|Command|Option|Win|Windows|Fn|Esc|Tab|Del|Delete"


def _to(language: str) -> str:
    return pick(language, " hingga ", " to ")


def _range(match: re.Match[str], language: str) -> str:
    """Put a dash between two numbers into words: "5-10" is a range, "3-1" a score and "10 - 5" a subtraction.

    - Score: one or two digits on each side and no spaces. Either a word for a match or a result ("menang") comes before
      it, or the first number is the larger one and below 10.
    - Subtraction: the first number is the larger one, "=" follows, or the dash is "−".
    - Range: anything else.
    """
    low = match[1]
    high = match[3]
    spaced = match[2] != match[2].strip()
    before = match.string[max(0, match.start() - 80) : match.start()]
    after = match.string[match.end() : match.end() + 8].lstrip()
    goals = (
        not after.startswith("=")
        and low.isdigit()
        and high.isdigit()
        and len(low) <= 2
        and len(high) <= 2
        and not spaced
    )
    if goals and int(high) < int(low) and _SHOP.search(before):
        return f"{cardinal(int(low), language)} {cardinal(int(high), language)}"  # the number of a shop: "No. 7-1"
    if goals and (_SCORE.search(before) or int(high) < int(low) < 10):
        versus = " berbalas " if language == "ms" else " "
        zero = pick(language, "kosong", "nil")
        return versus.join(cardinal(int(side), language) if int(side) else zero for side in (low, high))
    falls = float(low.replace(",", "")) > float(high.replace(",", ""))
    if after.startswith("=") or falls or "−" in match[2]:
        return f"{low} {pick(language, 'tolak', 'minus')} {high}"
    return low + _to(language) + high


def _term(match: re.Match[str], language: str) -> str:
    """Put the coefficient of a variable into words: "3x" in "x^2 - 3x" becomes "tiga x"."""
    factor, unknown = (match[1], match[2]) if match[1] else (match[3], match[4])
    return f"{cardinal(int(factor), language)} {unknown}"


def _multiplied(match: re.Match[str], language: str) -> str:
    return f"{match[1]} {pick(language, 'darab', 'times')} "


def _more_than(match: re.Match[str], language: str) -> str:
    """Put the plus after a number into words: "5+" in "5+ tahun" becomes "lebih 5", in English "5 plus"."""
    return f"lebih {match[1]}" if language == "ms" else f"{match[1]} plus"


_NOUN = r"[a-z]{1,12}[²³]?|°C"
#: Symbols before or after numbers and amounts of money. Applied before the numbers are put into words.
SIGNED: list[Rule] = [
    rule(
        r"(\b(?:nisbah|ratio|skala|scale)\b(?: (?!jam\b|pukul\b|pada\b|at\b|by\b|mulai\b)[a-z]{1,12}){0,4}:? )"
        rf"(\d{{1,4}}):(?=\d{{1,4}}(?![\d:])(?!\s?{_PART}\b))",
        lambda m, lang: f"{m[1]}{m[2]} {pick(lang, 'kepada', 'to')} ",
        re.IGNORECASE,
    ),
    rule(r"(?<=\d),(?=(?:RM|US\$|\$)\d)", words(", ", ", ")),
    rule(
        r"(?<![\w:.])(\d{1,3}):(?=\d{1,3}(?:,\d{3})+(?![\d:])|\d{4,6}(?![\d:]))",
        lambda m, lang: f"{m[1]} {pick(lang, 'kepada', 'to')} ",
    ),
    rule(r"(?<=[a-z])/(?=\d)(?!100 ?(?:km|kg|g|ml|mL)(?!\w))", words(", ", ", ")),
    rule(
        r"(?<![\w:])(\d{1,3}):(\d{1,3})[-–](\d{1,3})(?![\w:])",
        lambda m, lang: f"{m[1]}, {m[2]}{_to(lang)}{m[3]}",
    ),
    rule(r"(?<![\w.])\.(?=\d{1,6}(?![\d.]))", words("0.", "0.")),
    rule(
        r"(?<![\d.,])(\d{1,3}),(?=\d{1,2}\s?(?:juta|bilion|trilion|ribu|peratus|%|kg|km|cm|mm|m|g|l|L|°C)(?!\w))",
        lambda m, lang: m[1] + "." if lang == "ms" else m[0],
    ),
    rule(r"(?<![\w~])[~≈≃≅]\s?(?=\d|RM|US\$|\$|[A-Z]{3} ?\d)", words("lebih kurang ", "about ")),
    rule(r"(?<![\w])(?:±|\+/-|\+-)\s?(?=\d|RM)", words("campur tolak ", "plus or minus ")),
    rule(r"(?<![\w=+*/^(-])[xX]\s?(\d{1,3})(?= (?:kali|times)\b)", lambda m, lang: m[1]),
    rule(
        r"(?<!\w)((?:RM|US\$|\$) ?\d[\d,.]{0,14})\+(?!\+|\w| ?\d)",
        lambda m, lang: f"{m[1]} {pick(lang, 'ke atas', 'or more')}",
    ),
    rule(
        r"(?<=[a-z)] )(?:x\s?|X\s)(\d{1,3})(?![\w.])(?!\s?[=+*^-])",
        lambda m, lang: f"{pick(lang, 'kali', 'times')} {m[1]}",
    ),
    rule(rf"(\d\s?(?:{_NOUN}))\s[xX×]\s(?=(?:RM ?)?\d)", _multiplied),
    rule(r"(?<=\d)()\s?[xX]\s(?=RM ?\d)", _multiplied),
    rule(r"((?<![\w])(?:RM|\$|USD) ?\d[\d,.]{0,14})\s?[xX×]\s?(?=\d)", _multiplied),
    rule(rf"{EDGE}({NUMBER})\+ (?=[a-z])", lambda m, lang: _more_than(m, lang) + " "),
    rule(r"(?<=\d)\+\+(?!\w)", words(" plus plus", " plus plus")),
    rule(r"(?<=\d)!(?=\s?[=+*/×÷−-])|(?<=\bn)!(?=\s?[=+*/×÷−-])", words(" faktorial", " factorial")),
    rule(rf"(?<=[-+*=(^] ){EDGE}(\d{{1,4}})([a-z])(?![\w])|{EDGE}(\d{{1,4}})(x|y)(?=\s?[-+*=^)])", _term),
    rule(
        r"(?:(?<=\()[nk](?=[-−]\d{1,4}\))|(?<![\w'’.-])[xy])[-−](?=\d{1,4}(?![\w-]|[.,]\d))",
        lambda m, lang: f"{m[0][0]} {pick(lang, 'tolak', 'minus')} ",
    ),
]

#: These rules are applied before times of day are put into words.
TIME_RANGES: list[Rule] = [
    rule(rf"(\d\s?{_PART})\s?{DASH}\s?(?=\d)", lambda m, lang: m[1] + _to(lang), re.IGNORECASE),
    rule(
        rf"{EDGE}(\d{{1,2}})\s?{DASH}\s?(?=\d{{1,2}}\s?{_PART}{END})", lambda m, lang: m[1] + _to(lang), re.IGNORECASE
    ),
]

RANGES: list[Rule] = [
    rule(rf"{EDGE}(\d{{1,2}}[.:]\d\d)\s?{DASH}\s?(?=\d{{1,2}}[.:]\d\d(?!\d))", lambda m, lang: m[1] + _to(lang)),
    rule(rf"{EDGE}({NUMBER})\s?x\s?(?=[-−]?\d)", _multiplied),
    rule(rf"{EDGE}(\d{{1,2}}/\d{{1,2}})\s?{DASH}\s?(?=\d)", lambda m, lang: m[1] + _to(lang)),
    rule(r"(?<=\d)-(?:in|dalam)-(?=\d)", words(" dalam ", " in ")),
    rule(
        rf"({EDGE}{NUMBER})\s?(?:%|peratus)\s?{DASH}\s?(?={NUMBER}\s?(?:%|peratus))", lambda m, lang: m[1] + _to(lang)
    ),
    rule(
        rf"{EDGE}({NUMBER}\s?(?:%|°C|km|kg|cm|mm|m|g|ml|GB|MB|tahun|hari))\s?[-–—]\s?(?={NUMBER}\s?(?:%|°|[a-zA-Z]))",
        lambda m, lang: m[1] + _to(lang),
    ),
    rule(rf"{EDGE}({NUMBER})(\s?{DASH}\s?)({NUMBER})(?!\d)(?!{DASH}\d)(?![A-KN-UX-Z](?!\w))", _range),
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
    rule(r"¬", words("negatif ", "minus ")),
    rule(r"(?<![\w])([fgh])\(([a-z])\)", lambda m, lang: f"{m[1]} {m[2]}"),
    rule(r"×", words(" darab ", " times ")),
    rule(rf"{EDGE}({NUMBER})x{END}", lambda m, lang: f"{m[1]} {pick(lang, 'kali', 'times')}"),
    rule(rf"\b({_KEYS})\s?\+\s?(?=\w)", lambda m, lang: f"{_KEY_NAMES.get(m[1], m[1])} "),
    rule(r"(?<=\bAlt )(Del|Esc)(?!\w)|(?<=\bControl )(Del|Esc)(?!\w)", lambda m, lang: _KEY_NAMES[m[0]]),
    rule(r"(?<=\b[CF])#(?!\w)", words(" sharp", " sharp")),
    rule(
        r"(\b(?:darah|jenis|kumpulan|blood|type|group)\b[^.,]{0,12}? )(AB|A|B|O)\s?([-+−])(?![\w-])",
        lambda m, lang: (
            f"{m[1]}{spell(m[2], lang)} {'positif' if m[3] == '+' else 'negatif'}"
            if lang == "ms"
            else f"{m[1]}{spell(m[2], lang)} {'positive' if m[3] == '+' else 'negative'}"
        ),
    ),
    rule(r"(?<=\b[A-E])[-−](?=\s*(?:[,.;)]|$|dan\b|atau\b|untuk\b|dalam\b|bagi\b))", words(" tolak", " minus")),
    rule(
        r"(\b(?:[Gg]red|[Gg]rades?|[Dd]apat|[Gg]ot|[Kk]eputusan|[Rr]esults?)"
        r"(?: [A-E]\+?(?: dan| and|,)| [a-z]{1,9})? [A-E])[-−](?=\s+[a-zA-Z])",
        lambda m, lang: m[1] + pick(lang, " tolak", " minus"),
    ),
    rule(r"(?<![A-Za-z])([A-E])\+(?=[\s,.;:)!?]|$)", lambda m, lang: f"{m[1]} plus"),
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
    rule(r"(?<=\bC)\+\+", words(" plus plus", " plus plus")),
    rule(r"(?<=[\w)])\s?\+\s?(?=[\w(])", words(" campur ", " plus ")),
    rule(r"(?<=\b[A-Z])\+(?!\w)", words(" plus", " plus")),
    rule(r"(?<=\d)\+(?!\w)", words(" ke atas", " plus")),
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
    rule(
        r"(?:(?<=\d)|(?<=\))|(?<=\b[a-z])|(?<= dua)|(?<= tiga)|(?<=squared)|(?<=cubed))\s[−-]\s(?=[\w(√])",
        words(" tolak ", " minus "),
    ),
    rule(r"(?<=[\w)])\s?−\s?(?=[\w(])", words(" tolak ", " minus ")),
    rule(r"\s?→\s?", words(", ", ", ")),
]
