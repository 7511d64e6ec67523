"""Classify lines of Markdown as headings, list items, table rows, plain text and other kinds."""

from __future__ import annotations

import enum
import re


class LineKind(enum.Enum):
    """The kinds of Markdown lines.

    RULE is a horizontal rule, the underline of a heading, or the row below the head of a table (``|---|---|``).
    """

    BLANK = "blank"
    RULE = "rule"
    FENCE = "fence"
    TABLE = "table"
    HEADING = "heading"
    ITEM = "item"
    REFERENCE = "reference"
    TEXT = "text"


QUOTE_MARKS = re.compile(r"\s*+(?:>(?!\d)\s*+)*+")
FENCE_MARK = re.compile(r"(?P<mark>`{3,}|~{3,})(?P<info>.*)", re.DOTALL)
HEADING_MARK = re.compile(r"#{1,6}(?:\s+|$)")
ITEM_MARK = re.compile(
    r"(?:[-*+•‣◦▪●–]|(?P<number>\d{1,3})(?:[.)]|\ufe0f?\u20e3)|[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?|(?P<letter>[a-zA-Z])\))(?:\s+|$)"
)
_REFERENCE = re.compile(r"\[(?:\^[^\]\s]{1,60}\]:|[^\]]{1,80}\]:\s*<?(?:https?:|www\.|mailto:|[#/]))")
_MAYBE_REFERENCE = re.compile(r"\[[^\]]{0,80}(?:\](?::.*)?)?$", re.DOTALL)
_MAYBE_LETTER_ITEM = re.compile(r"[a-zA-Z]\)?$")
_EMOJI_MARK = re.compile(r"[\u2600-\u27bf\U0001f300-\U0001faff\ufe0f\u20e3]")
_MARKS = frozenset("-*_=+#~`•‣◦▪●–.)(:|>0123456789")


def line_kind(line: str) -> LineKind:
    """Return the kind of a complete line. ``line`` has no block-quote marks (``>``) at its start."""
    line = line.strip()
    if not line:
        return LineKind.BLANK
    if line[0] == "|":
        return LineKind.TABLE
    marks = set(line) - {" ", "\t"}
    if (len(marks) == 1 and marks <= set("-*_=") and len(line) > 1) or is_delimiter_row(line):
        return LineKind.RULE
    fence = FENCE_MARK.match(line)
    if fence and not (fence["mark"][0] == "`" and "`" in fence["info"]):
        return LineKind.FENCE
    if HEADING_MARK.match(line):
        return LineKind.HEADING
    if ITEM_MARK.match(line):
        return LineKind.ITEM
    if _REFERENCE.match(line):
        return LineKind.REFERENCE
    return LineKind.TEXT


def is_delimiter_row(line: str) -> bool:
    """Return True if the line is the delimiter row between the head and the body of a table (``|---|:--:|``)."""
    return "-" in line and "|" in line and set(line) <= set("|:- \t\r")


def kind_so_far(line: str) -> LineKind | None:
    """Return the kind of an incomplete line, or None if it still depends on the rest of the line."""
    if all(char in _MARKS or char.isspace() or _EMOJI_MARK.match(char) for char in line):
        return None
    if line.startswith(("|", "```", "~~~")):
        return None
    if _MAYBE_REFERENCE.match(line) or _MAYBE_LETTER_ITEM.match(line):
        return None
    return line_kind(line)
