"""Rules for numbers that identify something, such as telephone, account, flight and version numbers."""

from __future__ import annotations

import re

from spoken_text.acronyms import is_spelled, spell
from spoken_text.numbers import cardinal, digit_groups, digits, number
from spoken_text.rules import EDGE, END, Rule, pick, rule

# After letters, a number with more digits than this is read digit by digit ("MH370"). "B40" is read as a number.
_MAX_READ_DIGITS = 2


def _groups(match: re.Match[str], language: str) -> str:
    return digit_groups(match[0], language)


def _telephone(match: re.Match[str], language: str) -> str:
    return digit_groups(re.sub(r"(?<=\d{3})(?=\d{4}$)", " ", match[0]), language)


def _international(match: re.Match[str], language: str) -> str:
    plus = pick(language, "tambah", "plus")
    value = "".join(re.findall(r"\d", match[0]))
    if value.startswith("60") and len(value) > 8:
        return f"{plus} {digits('60', language)}, {digit_groups(_grouped('0' + value[2:])[1:], language)}"
    return f"{plus} {digit_groups(match[0], language)}"


def _unbroken(match: re.Match[str], language: str) -> str:
    return digit_groups(_grouped(match[0]), language)


def _grouped(value: str) -> str:
    """Split a Malaysian telephone number into its usual groups: 0123456789 becomes "012 345 6789"."""
    cut = 3 if value[1] in "18" else 2
    return f"{value[:cut]} {value[cut:-4]} {value[-4:]}"


def _unit_number(match: re.Match[str], language: str) -> str:
    """Put the number of a flat (block, floor, door) into words: "A-12-3" becomes "e dua belas tiga" in Malay."""
    block, *rest = match[0].split("-")
    return " ".join([_parts(block, language), *(cardinal(int(part), language) for part in rest)])


def _street(match: re.Match[str], language: str) -> str:
    """Put a street number into words: "Jalan 13/4" becomes "Jalan tiga belas per empat".

    Letters, such as "SS" in "SS2/24", are spelled one by one.
    """
    slash = f" {pick(language, 'per', 'slash')} "
    return match[1] + slash.join(_parts(part, language) for part in (match[2] + match[3]).split("/"))


def _parts(code: str, language: str) -> str:
    return " ".join(
        spell(part, language)
        if part.isalpha()
        else cardinal(int(part), language)
        if len(part) < 3
        else digits(part, language)
        for part in re.findall(r"\d+|[A-Z]+", code)
    )


def _aircraft(match: re.Match[str], language: str) -> str:
    return f"{match[1]}{_parts(match[2], language)} {digits(match[3], language)}"


def _plate(match: re.Match[str], language: str) -> str:
    return f"{match[1]}{spell(match[2], language)} {digits(match[3], language)}"


def _cued(match: re.Match[str], language: str) -> str:
    spelled = " " + spell("X", language) if match[2].endswith("X") else ""
    return match[1] + digit_groups(match[2], language) + spelled


def _code(match: re.Match[str], language: str) -> str:
    """Put a code of letters and digits into words, such as "MH370", "4G" or "KLIA2"."""
    spoken: list[str] = []
    for part in re.findall(r"\d+|[^\W\d_]+", match[0]):
        if not part[0].isdigit():
            spoken.append(_letters(part, language))
        elif len(part) > _MAX_READ_DIGITS or (len(part) > 1 and part[0] == "0"):
            spoken.append(digits(part, language))
        else:
            spoken.append(cardinal(int(part), language))
    return " ".join(spoken)


def _letters(part: str, language: str) -> str:
    if not part.isupper():
        return part
    return spell(part, language) if is_spelled(part) else part.capitalize()


def _version(match: re.Match[str], language: str) -> str:
    return f"{pick(language, 'versi', 'version')} {_dotted(match[1], language)}"


def _dotted(text: str, language: str) -> str:
    point = pick(language, " perpuluhan ", " point ")
    head, *rest = text.split(".")
    return point.join([number(head, language), *(digits(part, language) for part in rest)])


_S = r"[-\s.]?"
_CUES = (
    "akaun|account|rujukan|reference|ref|otp|pin|kod|code|poskod|postcode|siri|serial|tracking|pengesahan|kad|card|ic|"
    "id|uid|pasport|passport|resit|receipt|invois|invoice|pendaftaran|kelompok|matrik|password|kata laluan"
)
_STRONG_CUES = (
    "tac|otp|pin|poskod|kod pos|postcode|akaun|account|siri|serial|tracking|penjejakan|rujukan|pasport|passport|"
    "kod pengesahan|kod keselamatan|verification code|password|kata laluan|nombor ahli|resit|invois|matrik"
)
_BETWEEN = r"(?!tahun|baki|sebanyak|berjumlah|seramai|ada|mempunyai|RM|daripada|year|balance|has\b)[^\s\d.,;]{1,16}"
_COUNTED = (
    r"(?!,\d)(?!\s?(?:%|orang|ringgit|sen\b|kali|hari|tahun|pengguna|mata|unit|minit|saat|jam|people|times|days|users))"
)
_FILLERS = "anda|bank|saya|is|ialah|adalah|pengesahan|awak|rujukan|pos|no\\.|nombor|number"
_CALL = (
    "talian|hubungi|telefon|dail|call|dial|hotline|kecemasan|emergency|whatsapp|tel|sms ke|careline|helpline|infoline"
)

IDENTIFIERS: list[Rule] = [
    rule(r"(\b(?:ISBN|ISSN|IMEI|SWIFT|EAN)(?:-1[03])?[:\s]{1,2})(\d[\d -]{6,22}[\dX])(?!\w)", _cued),
    rule(r"((?:Boeing |Airbus |ATR |Embraer |(?<!\w))(?=[A-Z]))([A-Z]\d{3})-(\d{2,3})(?!\d)", _aircraft),
    rule(r"((?:Boeing|ATR|Airbus) )(\d{2,3})-(\d{2,3})(?!\d)", _aircraft),
    rule(r"(?<!\w)(?:KM|Km)\.? ?(?=\d)", lambda m, lang: pick(lang, "Kilometer ", "Kilometre ")),
    rule(rf"{EDGE}\d{{6}}-\d{{2}}-\d{{4}}{END}", _groups),
    rule(rf"{EDGE}\d{{4}}([- ])\d{{4}}\1\d{{4}}\1\d{{4}}{END}", _groups),
    rule(rf"(?<![\w+])\+\d{{1,3}}{_S}\(?\d{{1,4}}\)?(?:{_S}\d{{2,4}}){{1,4}}{END}(?!-?\d)", _international),
    rule(rf"(?<![\w.,])\(?0\d{{1,2}}\)?[-\s]\d{{3,4}}{_S}\d{{3,4}}{END}(?!-\d)", _telephone),
    rule(r"(?<![\w.,+-])60\d{1,2}[- ]?\d{3,4}[- ]?\d{4}(?![\w-])", _groups),
    rule(
        r"(?<![\w.,-])(?!\d{1,2}-\d{1,2}-\d{2,4}(?![\d-]))(?!\d{4}-\d{1,2}-\d{1,2}(?![\d-]))"
        r"\d{1,8}(?:-\d{1,8}){2,5}(?![\w-]|[.,]\d)",
        _groups,
    ),
    rule(rf"{EDGE}\+60{END}", lambda m, lang: f"{pick(lang, 'tambah', 'plus')} {digits('60', lang)}"),
    rule(rf"{EDGE}[A-Z]{{1,2}}\d{{0,2}}(?:-\d{{1,3}}){{2}}{END}(?!-)", _unit_number),
    rule(
        r"(\b(?:Jalan|Jln\.?|Lorong|Persiaran|Lebuh|Taman|Seksyen|Presint|Fasa)(?: [A-Z][a-z]{2,15}){0,2} )"
        r"([A-Z]{0,3}\d{1,3}[A-Z]?)((?:/\d{1,3}[A-Z]{0,2}){1,3})(?![\w/])",
        _street,
    ),
    rule(r"(\b)((?:SS|PJU|PJS|USJ|BU|SD|TTDI|BK) ?\d{1,3}[A-Z]?)((?:/\d{1,3}[A-Z]?){1,3})(?![\w/])", _street),
    rule(
        r"(\b(?:[Pp]late?|[Pp]endaftaran|[Kk]ereta|[Cc]ar|[Mm]otosikal|[Mm]otor|[Vv]an|[Ll]ori|[Bb]as|[Tt]eksi|"
        r"[Kk]enderaan|lorry|taxi|bus)\b(?: [a-z]{2,12}){0,3} ?[:(]? ?)"
        r"(?!(?:RM|MYR|USD|SGD|KM) ?\d)([A-Z]{1,3}) ?(\d{1,4})(?![\w]|[,.]\d)",  # a price: "kereta sewa RM120"
        _plate,
    ),
    rule(
        r"(?<![\w-])([A-Z]{1,3}) (\d{1,4}) ([A-Z])(?![\w'’-])",
        lambda m, lang: f"{spell(m[1], lang)} {digits(m[2], lang)} {spell(m[3], lang)}",
    ),
    rule(
        r"()(?<![\w-])([ABCDFHJKLMNPQRSTVW][A-Z]{1,2}) (?!19\d\d|20\d\d)(\d{4})(?![\w]|[,.]\d)(?= ?[^\w ]|$| [a-z])",
        _plate,
    ),
    rule(rf"{EDGE}1[-\s]?[378]00[-\s]\d\d[-\s]?\d{{4}}{END}", _groups),
    rule(rf"{EDGE}0\d{{8,10}}{END}(?!\.\d)", _unbroken),
    rule(
        rf"(\b(?:{_CALL})(?: (?:nombor|number|di|at|ke|kecemasan|on))?[:.]? )"
        rf"(\d{{3,5}}(?:-\d{{3,4}}){{0,2}}){END}(?!\s?(?:orang|kali|[%.]\d))",
        _cued,
        re.IGNORECASE,
    ),
    rule(
        r"(\b(?:talian|hotline|careline|helpline|infoline)\b(?: [a-z]{2,12}){0,3}:? )(1[35]\d{3})(?![\w]|[.,]\d)"
        r"(?=\s*(?:[.,;:)!?]|$))",
        _cued,
        re.IGNORECASE,
    ),
    rule(
        r"(\b(?:sambungan|extension)(?: (?:is|ialah|nombor|number))?:? )(\d{4,5})(?![\w%]|[.,]\d)"
        r"(?=\s*(?:[.,;:)!?]|$|untuk\b|bagi\b|for\b))",
        _cued,
        re.IGNORECASE,
    ),
    rule(
        rf"(\b(?:{_STRONG_CUES})(?::? {_BETWEEN}){{0,6}}[:#]? )"
        rf"(\d{{4,15}}(?:[- ]\d{{1,12}}){{0,3}}){END}(?!\.\d){_COUNTED}",
        _cued,
        re.IGNORECASE,
    ),
    rule(
        rf"(\b(?:sms|hantar|taip|balas|send|text|reply|mesej|whatsapp)\b[^.]{{0,60}}? (?:ke|kepada|to) )"
        rf"(\d{{3,6}}){END}(?!\.\d){_COUNTED}",
        _cued,
        re.IGNORECASE,
    ),
    rule(
        rf"((?:999|991|994|911|112|sembilan|empat|satu) (?:atau|dan|or|and) )"
        rf"(999|991|994|911|112|15999|15888){END}(?![.,]\d)",
        _cued,
    ),
    rule(
        rf"(\b(?:{_CUES})(?: (?:{_FILLERS})){{0,2}}[:#]? )(\d{{3,15}}(?:-\d{{1,12}}){{0,3}}){END}(?![,.]\d)",
        _cued,
        re.IGNORECASE,
    ),
    rule(r"(^|[,:.] |\) )(\d{5})(?=,? [A-Z][A-Za-z])(?! RM)", _cued),
    rule(
        r"()(?<![\w.,-])(\d{5})"
        r"(?= (?:PJ|KL|JB|Kuala|Petaling|Johor|Shah Alam|Subang|Kota|Ipoh|Georgetown|Melaka|Klang)\b)",
        _cued,
    ),
    rule(
        r"((?:Shah Alam|Kuala Lumpur|Petaling Jaya|Johor Bahru|Subang Jaya|Ipoh|Melaka|Klang|Kajang|Bangi|Putrajaya|"
        r"Cyberjaya|Seremban|Kuantan|Kuching|Kota Kinabalu|Kota Bharu|Alor Setar|George Town) )(\d{5})(?![\w]|[,.]\d)",
        _cued,
    ),
    rule(r"()(?<![\w.,$-])(?<!RM )(?<!\$ )(\d{10,20})(?<!000)(?![\w%]|[.,]\d)", _cued),
    rule(rf"{EDGE}[vV](?:er\.? ?)?(\d{{1,4}}(?:\.\d{{1,4}}){{0,3}}){END}(?!\.\d)", _version),
    rule(r"(?<!\w)NO([23])(?!\w)", lambda m, lang: f"{spell('NO', lang)} {number(m[1], lang)}"),
    rule(r"(?<=[A-Za-z] )(\d{1,3}(?:\.\d{1,3}){2})(?![\w.])", lambda m, lang: _dotted(m[1], lang)),
    rule(rf"{EDGE}#\s?(?=\d)", lambda m, lang: pick(lang, "nombor ", "number ")),
]

CODES: list[Rule] = [
    rule(
        r"(?<![\w.])(?!Jam|Pukul)([A-Z]{2,6}|[A-Z][a-z]{2,12})(\d{1,3}\.\d{1,2})(?![\w.])",
        lambda m, lang: f"{_letters(m[1], lang)} {number(m[2], lang)}",  # "PM2.5", "GPT4.5"
    ),
    rule(
        r"(?<![\w.])([a-z])(\d{1,2})-(\d{3,5})([A-Z]{0,3})(?!\w)",
        lambda m, lang: f"{m[1]} {number(m[2], lang)} {digits(m[3], lang)}" + (" " + spell(m[4], lang) if m[4] else ""),
    ),
    rule(r"(?<![\w.])(\d{3,4})p(?!\w)", lambda m, lang: f"{number(m[1], lang)} {spell('P', lang)}"),
    rule(
        r"(?<![\w.-])(?=[A-Z\d/-]{0,24}\d)(?=[\d/-]{0,24}[A-Z])[A-Z\d]{1,10}(?:[-/][A-Z\d]{1,10}){1,5}(?![\w-])(?![.,]\d)",
        _code,
    ),
    rule(r"(?<![\w.])[A-Z]{1,6}-?\d{1,15}[A-Z]{0,3}(?!\w)(?![.,]\d)", _code),
    rule(r"(?<![\w.,])\d{1,4}-?[A-Z]{1,5}(?:\d{1,4})?(?!\w)", _code),
    rule(r"(?<!\w)[A-Za-z]{1,15}\d{1,6}[A-Za-z]{0,6}(?!\w)", _code),
]
