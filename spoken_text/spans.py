"""Find spans of text that must not be split into sentences: links, code, HTML tags, citations and addresses."""

from __future__ import annotations

import re

_DESTINATION_CHARS = 2000
_SPAN_CHARS = 300  # an opening bracket that is not closed within this distance is a plain character
_LABEL = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]{0,200}+\](?:\([^()\s]{0,2000}+\))?)*+\]")
_DESTINATION = re.compile(r"\([^()\n]*+(?:\([^()\n]*+\)[^()\n]*+)?\)")
_TAG = re.compile(r"<[/!a-zA-Z][^<>\n]*+>")
_CITATION = re.compile(r"【[^】]*+】")
_URL = re.compile(r"https?://[^\s<>]*")


def span(text: str, at: int, final: bool) -> tuple[int | None, int]:
    """Return the end of the span that begins at text[at], and how many of its characters are not spoken.

    ``final``: whether no more text will arrive.

    The end is ``at + 1`` if no span begins there. It is None if only more text could show whether a span begins there;
    this can happen even if ``final`` is set.
    """
    opener = text[at]
    if opener == "h":
        url = _URL.match(text, at)
        end = url.end() if url else at + 1
        if end == len(text) and not final:
            return None, 0
        heard = text[at:end].rstrip(".,;:!?)\"'*_~]")
        return at + max(len(heard), 1), len(heard)
    early = None if len(text) - at <= _SPAN_CHARS else at + 1
    if opener == "`":
        return _code_span(text, at, early), 0
    pattern = {"[": _LABEL, "<": _TAG, "【": _CITATION}[opener]
    found = pattern.match(text, at, at + _SPAN_CHARS)
    if found is None:
        if opener == "<" and not re.match(r"<(?:$|[/!a-zA-Z][^<>\n]*+$)", text[at : at + _SPAN_CHARS]):
            return at + 1, 0
        return early, 0
    end = found.end()
    if opener != "[":
        return end, 0
    if end == len(text):
        return None, 0
    if text[end] != "(":
        return (end - 2 if text[end - 2] in ".!?" else end), 0  # "[Sumber: KPM.]" ends a sentence
    destination = _DESTINATION.match(text, end, end + _DESTINATION_CHARS)
    if destination:
        return destination.end(), len(destination[0])
    open_still = len(text) - end <= _DESTINATION_CHARS and "\n" not in text[end:]
    return (None if open_still else end), 0


def _code_span(text: str, at: int, early: int | None) -> int | None:
    ticks = re.compile(r"`+").match(text, at, at + _SPAN_CHARS)
    run = ticks[0] if ticks else "`"
    if at + len(run) == len(text):
        return None
    close = re.compile(rf"(?<!`){run}(?!`)").search(text, at + len(run), at + _SPAN_CHARS)
    if close is None:
        return early if early is None else at + len(run)
    return None if close.end() == len(text) else close.end()
