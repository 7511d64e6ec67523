"""Markdown as running text: what marks the text goes, what is text stays."""

from __future__ import annotations

import html
import re

from spoken_text import numbers
from spoken_text.language import detect_language
from spoken_text.sentences import HEADING_MARK, ITEM_MARK, LineKind, is_delimiter_row, line_kind

_CODE_OMITTED = {
    "ms": "blok kod dilangkau",
    "en": "code block omitted",
    "zh": "代码块已省略",
    "ta": "குறியீடு தவிர்க்கப்பட்டது",
}
_STOPS = {"zh": "。"}

_TASK = re.compile(r"\[[ xX]\]\s+")
_CODE = re.compile(r"(`{1,8})(?!`)([^\n]{0,300}?[^`\n])\1(?!`)")
_IMAGE = re.compile(
    r"!\[([^\[\]]{0,300})\](?:\([^()\n]{0,2000}(?:\([^()\n]{0,200}\)[^()\n]{0,200})?\)|\[[^\[\]]{0,80}\])?"
)
_LINK = re.compile(
    r"\[([^\[\]]{0,300})\](?:\([^()\n]{0,2000}(?:\([^()\n]{0,200}\)[^()\n]{0,200})?\)|\[[^\[\]]{0,80}\])"
)
_CITATION = re.compile(r"\s?(?:\[\^[^\]\s]{1,60}\]|\[\d{1,3}(?:\s?[,–-]\s?\d{1,3}){0,9}\](?!\()|【[^】]{0,80}】)")
_TORN_LINK = re.compile(r"\]\((?:https?:|/|#|www\.)[^()\s]{0,2000}\)")
_COMMENT = re.compile(r"<!--(?:[^-]|-(?!->)){0,2000}-->")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,200})>")
_BREAK = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/td|/th|/summary|/h\d)\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_STRONG = re.compile(r"\*{2,}|~~|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)|==(?=\w)|(?<=\w)==(?!\s?\d)(?=\W|$)")
_STAR = re.compile(r"(?<![\d\s])\*(?!\d)|(?<!\w)\*(?=\S)|(?<!\d)\*(?!\s)|(?<=\d)\*(?=\s|$|[.,;:!?)])(?!\s\d)")
_UNDERSCORE = re.compile(r"(?<=\w)_+(?=\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_ENTITY_HINT = re.compile(r"&#?\w{1,31};")
_LINE_BREAK = re.compile(r"[^\S\n]*\\?\n\s*")
_UNIT_IN_HEAD = re.compile(r"(.{1,80}?)\s*\(([^()\s\d]{1,6}[²³]?)\)")
_LONG_LINE_CHARS = 50  # shorter lines were not wrapped but ended on purpose


def plain_pieces(piece: str, language: str) -> list[str]:
    """The running texts of one piece of `tts.sentences`: one, or one per row of a table, or none."""
    first = piece.split("\n", 1)[0]
    kind = line_kind(first)
    if kind is LineKind.FENCE:
        return [_CODE_OMITTED.get(language, _CODE_OMITTED["en"]) + _STOPS.get(language, ".")]
    if kind is LineKind.TABLE:
        return _table(piece.split("\n"), language)
    if kind in (LineKind.RULE, LineKind.REFERENCE, LineKind.BLANK):
        return []
    if kind is LineKind.HEADING:
        return [_stopped(inline(HEADING_MARK.sub("", piece, count=1).rstrip().rstrip("#")), language)]
    if kind is LineKind.ITEM:
        return [_item(piece, detect_language(piece, language))]
    return [inline(piece)]


def _item(piece: str, language: str) -> str:
    mark = ITEM_MARK.match(piece)
    text = inline(_TASK.sub("", piece[mark.end() if mark else 0 :], count=1))
    number = mark["number"] if mark else None
    if number and language in ("ms", "en"):
        text = f"{numbers.cardinal(int(number), language)}, {text}" if text else numbers.cardinal(int(number), language)
    elif number:
        text = f"{number}. {text}"
    elif mark and mark["letter"]:
        text = f"{mark['letter'].upper()}, {text}"
    return _stopped(text, language)


def _stopped(text: str, language: str) -> str:
    """With a full stop, because the voice should drop at the end of a heading or an item."""
    text = text.rstrip()
    bare = text.rstrip("\"'”’)]*_ ")
    return text if not bare or bare[-1] in ".?!:;,…。！？：；，" else text + _STOPS.get(language, ".")


def _table(lines: list[str], language: str) -> list[str]:
    head = _cells(lines[0])
    if len(lines) < 2 or not is_delimiter_row(lines[1]):
        rows = [[cell for cell in _cells(line) if cell] for line in lines if not is_delimiter_row(line)]
    elif len(lines) == 2:
        rows = [[cell for cell in head if cell]]
    else:
        rows = [_named(head, _cells(line)) for line in lines[2:]]
    comma = "，" if language == "zh" else ", "
    return [_stopped(comma.join(row), language) for row in rows if row]


def _named(head: list[str], cells: list[str]) -> list[str]:
    names = head + [""] * (len(cells) - len(head))
    return [_pair(name, cell) if name else cell for name, cell in zip(names, cells, strict=False) if cell]


def _pair(name: str, cell: str) -> str:
    """ "Jarak (km)" over "205" is "Jarak: 205 km"."""
    if (unit := _UNIT_IN_HEAD.fullmatch(name)) and re.fullmatch(r"[\d.,–-]{1,30}", cell):
        name, sign = unit[1], unit[2]
        cell = f"{sign}{cell}" if sign in ("RM", "$", "US$", "€", "£") else f"{cell} {sign}"
    return f"{name}: {cell}"


def _cells(row: str) -> list[str]:
    row = row.strip().removeprefix("|")
    row = row.removesuffix("|") if not row.endswith("\\|") else row
    return [inline(cell.replace("\\|", "|")).strip().rstrip(",;") for cell in re.split(r"(?<!\\)\|", row)]


def inline(text: str) -> str:
    """The text without links' addresses, emphasis, tags, citations and escapes."""
    text = _LINE_BREAK.sub(_line_break, text)
    text = _maths(text)
    text = _CODE.sub(lambda m: m[2].strip().replace("_", " "), text)
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(_label, text)
    text = _LINK.sub(_label, text)  # a linked image has left its alternative text as the label
    text = _TORN_LINK.sub("", _CITATION.sub("", text))
    if "<" in text:
        text = _AUTOLINK.sub(lambda m: m[1].removeprefix("mailto:"), _COMMENT.sub("", text))
        text = _TAG.sub("", _BREAK.sub(", ", text))
    text = text.replace("\\*", "∗")  # an asterisk that is text
    text = _STAR.sub("", _STRONG.sub("", text))
    text = _UNDERSCORE.sub(" ", text)
    text = _ESCAPE.sub(r"\1", text)
    if _ENTITY_HINT.search(text):
        text = html.unescape(text)
    return text.strip()


def _label(match: re.Match[str]) -> str:
    label = match[1]
    return "" if re.fullmatch(r"\^?\d{1,3}", label) else label


def _line_break(match: re.Match[str]) -> str:
    """A space where a long line was wrapped; a pause where a short one was ended on purpose."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    before, after = text[start : match.start()].rstrip(), text[match.end() : match.end() + 1]
    forced = "\\" in match[0] or match[0].startswith("  ")
    short = len(before) < _LONG_LINE_CHARS and (after.isupper() or after.isdigit())
    return ", " if (forced or short) and before[-1:] not in ".?!:;,…" else " "


_MATHS = re.compile(
    r"\$\$([^$]{1,500})\$\$|\\\(([^\n]{1,300}?)\\\)|\\\[([^\n]{1,300}?)\\\]|\$(?=\S)([^$\n]{1,200}?)(?<=\S)\$(?!\d)"
)
_FRAC = re.compile(r"\\[dt]?frac\s*\{([^{}]{1,80})\}\s*\{([^{}]{1,80})\}")
_SQRT = re.compile(r"\\sqrt\s*\{([^{}]{1,80})\}")
_MATHS_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|operatorname|mathit)\s*\{([^{}]{0,80})\}")
_COMMANDS = {
    "times": " × ",
    "cdot": " × ",
    "div": " ÷ ",
    "pm": " ± ",
    "leq": " ≤ ",
    "le": " ≤ ",
    "geq": " ≥ ",
    "ge": " ≥ ",
    "neq": " ≠ ",
    "ne": " ≠ ",
    "approx": " ≈ ",
    "infty": " ∞ ",
    "pi": " π ",
    "alpha": " α ",
    "beta": " β ",
    "theta": " θ ",
    "lambda": " λ ",
    "sigma": " σ ",
    "Delta": " Δ ",
    "mu": " μ ",
    "sum": " ∑ ",
    "to": " → ",
    "rightarrow": " → ",
    "degree": "°",
    "circ": "°",
    "percent": "%",
}


def _maths(text: str) -> str:
    if "$" not in text and "\\" not in text:
        return text
    return _MATHS.sub(_formula, text)


def _formula(match: re.Match[str]) -> str:
    body = next(group for group in match.groups() if group is not None)
    single_dollar = match[4] is not None
    if single_dollar and not re.search(r"[\\^_=<>+]", body) and not re.fullmatch(r"[a-zA-Z]", body):
        return match[0]  # two sums of money
    body = _MATHS_TEXT.sub(r"\1", body)
    body = _SQRT.sub(r" √ \1 ", _FRAC.sub(r" \1 ÷ \2 ", body))
    body = re.sub(r"\^\{([^{}]{1,40})\}", r"^\1", body)
    body = re.sub(r"_\{?(\w{1,20})\}?", r" \1", body)
    body = re.sub(r"\\([a-zA-Z]{1,20})", lambda m: _COMMANDS.get(m[1], " "), body)
    return f" {body.replace('*', '×').replace('{', ' ').replace('}', ' ')} ".replace("\\", " ")
