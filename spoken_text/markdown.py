"""Turn Markdown into plain text that can be read aloud."""

from __future__ import annotations

import html
import re
from functools import lru_cache

from spoken_text import numbers
from spoken_text.language import detect_language
from spoken_text.latex import without_latex
from spoken_text.lines import HEADING_MARK, ITEM_MARK, LineKind, is_delimiter_row, line_kind

_CODE_OMITTED = {
    "ms": "blok kod dilangkau",
    "en": "code block omitted",
    "zh": "代码块已省略",
    "ta": "குறியீடு தவிர்க்கப்பட்டது",
}
_STOPS = {"zh": "。"}

_YES = {"ms": "ya", "en": "yes", "zh": "是", "ta": "ஆம்"}
_NO = {"ms": "tidak", "en": "no", "zh": "否", "ta": "இல்லை"}
_YES_CELL = re.compile("[\u2705\u2611\u2713\u2714\U0001f5f8\U0001f44d]\ufe0f?")
_NO_CELL = re.compile("[\u274c\u274e\u2717\u2718\u2715\u2716\u2612\U0001f6ab\U0001f44e]\ufe0f?")
_EMPTY_CELL = re.compile(r"[-–—/\s]{1,5}|n/a|N/A")

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
_UNDERSCORE = re.compile(r"(?<=\w)_+(?=\w)(?![\w.+-]{0,64}@\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_ENTITY_HINT = re.compile(r"&#?\w{1,31};")
_LINE_BREAK = re.compile(r"[^\S\n]*\\?\n\s*")
_UNIT_IN_HEAD = re.compile(r"(.{1,80}?)\s*\(([^()\s\d]{1,6}[²³]?)\)")
_MAX_NAME_CHARS = 60  # a longer column name is not repeated with every cell
_LONG_LINE_CHARS = 50  # a shorter line was not wrapped for its length, so the break after it is probably intended


def plain_pieces(piece: str, language: str) -> list[str]:
    """Return the plain texts of one piece of Markdown. Each text is read as a separate sentence.

    ``piece``: a piece from ``spoken_text.sentences``.

    - Table: one text for each row below its head, with the name of its column before each cell. Empty rows are left
      out. If there is only a head, return the head. If there is no row ``|---|---|`` below the head, return one text
      for each row, without column names.
    - Code block: a short sentence that says that the code is not read.
    - Horizontal rule, link reference or blank line: no text.
    - Any other piece: one text.
    """
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
        text = f"{number}{'，' if language == 'zh' else ', '}{text}"
    elif mark and mark["letter"]:
        text = f"{mark['letter'].upper()}, {text}"
    return _stopped(text, language)


def _stopped(text: str, language: str) -> str:
    """Add a full stop unless the text ends with punctuation, so that the voice falls after a heading or an item."""
    text = text.rstrip()
    bare = text.rstrip("\"'”’)]*_ ")
    return text if not bare or bare[-1] in ".?!:;,…。！？：；，" else text + _STOPS.get(language, ".")


def _table(lines: list[str], language: str) -> list[str]:
    head = _cells(lines[0], language)
    if len(lines) < 2 or not is_delimiter_row(lines[1]):
        rows = [[cell for cell in _cells(line, language) if cell] for line in lines if not is_delimiter_row(line)]
    elif len(lines) == 2:
        rows = [[cell for cell in head if cell]]
    else:
        rows = [_named(head, _cells(line, language)) for line in lines[2:]]
    comma = "，" if language == "zh" else ", "
    return [_stopped(comma.join(row), language) for row in rows if row]


def _named(head: list[str], cells: list[str]) -> list[str]:
    names = head + [""] * (len(cells) - len(head))
    return [
        _pair(name, cell) if 0 < len(name) <= _MAX_NAME_CHARS else cell
        for name, cell in zip(names, cells, strict=False)
        if cell
    ]


def _pair(name: str, cell: str) -> str:
    """Return a table cell after the name of its column: "205" in the column "Jarak (km)" becomes "Jarak: 205 km"."""
    if (unit := _UNIT_IN_HEAD.fullmatch(name)) and re.fullmatch(r"[\d.,–-]{1,30}", cell):
        name = unit[1]
        sign = unit[2]
        cell = f"{sign}{cell}" if sign in ("RM", "$", "US$", "€", "£") else f"{cell} {sign}"
    return f"{name}: {cell}"


@lru_cache(maxsize=64)  # the same head is read with every row
def _cells(row: str, language: str) -> list[str]:
    row = row.strip().removeprefix("|")
    row = row.removesuffix("|") if not row.endswith("\\|") else row
    return [_cell(cell.replace("\\|", "|").strip(), language) for cell in re.split(r"(?<!\\)\|", row)]


def _cell(cell: str, language: str) -> str:
    """Return the plain text of a table cell. A tick becomes "yes", a cross "no", a dash ""."""
    if _YES_CELL.fullmatch(cell):
        return _YES.get(language, _YES["en"])
    if _NO_CELL.fullmatch(cell):
        return _NO.get(language, _NO["en"])
    return "" if _EMPTY_CELL.fullmatch(cell) else inline(cell).strip().rstrip(",;")


def inline(text: str) -> str:
    """Remove inline markup: link addresses, emphasis, HTML tags, citations and escapes."""
    text = _LINE_BREAK.sub(_line_break, text)
    text = without_latex(text)
    text = _CODE.sub(lambda m: m[2].strip().replace("_", " "), text)
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(_label, text)
    text = _LINK.sub(_label, text)  # a linked image leaves its alternative text as the label
    text = _TORN_LINK.sub("", _CITATION.sub("", text))
    if "<" in text:
        text = _AUTOLINK.sub(lambda m: m[1].removeprefix("mailto:"), _COMMENT.sub("", text))
        text = _TAG.sub("", _BREAK.sub(", ", text))
    text = text.replace("\\*", "∗")  # a literal asterisk
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
    """Return what replaces a line break: " " if a long line was wrapped, ", " if the break was probably intended."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    before = text[start : match.start()].rstrip()
    after = text[match.end() : match.end() + 1]
    forced = "\\" in match[0] or match[0].startswith("  ")
    short = len(before) < _LONG_LINE_CHARS and (after.isupper() or after.isdigit())
    return ", " if (forced or short) and before[-1:] not in ".?!:;,…" else " "
