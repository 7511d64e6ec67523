"""Split a language model's Markdown into sentences, either a complete text or one that is still arriving.

Each piece is raw Markdown that can be spoken on its own:

- A code block is never split. A link or a code span is split only if it is very long.
- Each row of a table is a separate piece, with the head of the table before it unless the head is too long.
- Block-quote marks (``>``) are removed.

Lines are grouped into blocks first (``spoken_text.lines``). Then the text of each block is searched for the ends of
sentences. A sentence ends only where no later character could change that. Therefore the result does not depend on the
sizes of the parts in which the text arrives.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from spoken_text.full_stops import full_stop_ends
from spoken_text.lines import FENCE_MARK, QUOTE_MARKS, LineKind, is_delimiter_row, kind_so_far, line_kind
from spoken_text.spans import span

MAX_SENTENCE_CHARS = 300
#: Longest head of a table that is repeated with every row.
MAX_HEAD_CHARS = 300
#: Total characters of a table's repeated heads. After that, its rows come without the head.
MAX_REPEATED_HEAD_CHARS = 6000
_MIN_CUT_CHARS = 80  # a shorter piece sounds like a hesitation


class Piece(NamedTuple):
    """A sentence, or a part of a sentence that was too long.

    ``text``: raw Markdown.
    ``ends``: whether the sentence ends here; False if it continues in the next piece.
    """

    text: str
    ends: bool


def split_sentences(text: str) -> list[str]:
    """Split a complete text into sentences, none of them blank. Sentences of more than about 300 characters are cut."""
    return [piece.text for piece in split_pieces(text)]


def split_pieces(text: str) -> list[Piece]:
    """Split a complete text as ``split_sentences`` does, but return ``Piece`` objects instead of strings."""
    blocks = _Blocks()
    return blocks.feed(text) + blocks.close()


class SentenceStream:
    """Splits a text into sentences while it arrives, in parts of any length. Not thread-safe."""

    def __init__(self) -> None:
        self._blocks = _Blocks()

    def push(self, text: str) -> list[str]:
        """Add text. Return the sentences that it completes, in order."""
        return [piece.text for piece in self._blocks.feed(text)]

    def flush(self) -> list[str]:
        """Return the rest of the text as sentences. Afterwards the stream is empty and may be used for another text."""
        pieces = self._blocks.close()
        self._blocks = _Blocks()
        return [piece.text for piece in pieces]


class _Blocks:
    """Groups arriving lines into blocks, such as a paragraph, a table or a code block.

    Running text is passed on to ``_Sentences`` at once, even before its line is complete.
    """

    def __init__(self) -> None:
        self._line = ""  # text of a line whose kind is not known yet
        self._in_text_line = False
        self._kind = LineKind.BLANK  # the kind of the block being read
        self._fence: list[str] = []
        self._fence_close = ""
        self._head: list[str] = []  # the head of the table being read, then its delimiter row
        self._rows = 0
        self._repeated_chars = 0
        self._bare_table = False  # whether the table's lines have no pipe at their start
        self._sentences = _Sentences()

    def feed(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        for part in _lines(text):
            pieces += self._feed_part(part)
        return pieces

    def close(self) -> list[Piece]:
        pieces: list[Piece] = []
        if self._line:
            pieces += self._take_line(self._line)
        return pieces + self._end_block()

    def _feed_part(self, part: str) -> list[Piece]:
        complete = part.endswith("\n")
        if self._in_text_line:
            self._in_text_line = not complete
            pieces = self._sentences.feed(part)
            if complete and self._kind is LineKind.HEADING:
                pieces += self._end_block()
            return pieces
        self._line += part
        if complete:
            line = self._line
            self._line = ""
            return self._take_line(line)
        if self._fence or self._bare_table:
            return []
        line = QUOTE_MARKS.sub("", self._line, count=1)
        kind = kind_so_far(line)
        if kind is None:
            return []
        self._line = ""
        self._in_text_line = True
        return self._take_text(kind, line)

    def _take_line(self, raw: str) -> list[Piece]:
        line = QUOTE_MARKS.sub("", raw, count=1)
        if self._fence:
            self._fence.append(raw.rstrip())
            mark = line.strip()
            if mark.startswith(self._fence_close) and not mark.strip(self._fence_close[0]):
                return self._end_block()
            return []
        kind = line_kind(line)
        if kind is LineKind.TABLE:
            return self._take_row(line.rstrip())
        if self._bare_table and "|" in line and kind is not LineKind.RULE:
            return self._take_row(f"| {line.strip()}")
        if kind is LineKind.RULE and self._kind is LineKind.TEXT and (head := self._sentences.take_table_head(line)):
            pieces = self._end_block()
            self._kind = LineKind.TABLE
            self._bare_table = True
            self._head = [f"| {head}", f"|{line.strip()}"]
            return pieces
        if kind in (LineKind.TEXT, LineKind.ITEM, LineKind.HEADING):
            pieces = self._take_text(kind, line)
            return pieces + self._end_block() if kind is LineKind.HEADING else pieces
        pieces = self._end_block()
        fence = FENCE_MARK.match(line)
        if kind is LineKind.FENCE and fence:
            self._fence = [line.rstrip()]
            self._fence_close = fence["mark"]
        return pieces

    def _take_text(self, kind: LineKind, text: str) -> list[Piece]:
        goes_on = kind is LineKind.TEXT and self._kind in (LineKind.TEXT, LineKind.ITEM)
        pieces = [] if goes_on else self._end_block()
        if not goes_on:
            self._kind = kind
        return pieces + self._sentences.feed(text)

    def _take_row(self, row: str) -> list[Piece]:
        pieces = [] if self._kind is LineKind.TABLE else self._end_block()
        self._kind = LineKind.TABLE
        if not self._head:
            self._head = [row]
        elif is_delimiter_row(row):
            if len(self._head) == 1:
                self._head.append(row)
        elif len(self._head) == 2:
            self._rows += 1
            pieces.append(Piece("\n".join([*self._repeated_head(), row]), ends=True))
        else:  # without a delimiter row, the table has no head
            pieces.append(Piece(self._head[0], ends=True))
            self._head = [row]
        return pieces

    def _repeated_head(self) -> list[str]:
        """Return the head and the delimiter row that go before the table's next row.

        Return [] if the head is too long, or if it has been repeated up to the limit.
        """
        chars = len(self._head[0])
        if chars > MAX_HEAD_CHARS or self._repeated_chars + chars > MAX_REPEATED_HEAD_CHARS:
            return []
        self._repeated_chars += chars
        return self._head

    def _end_block(self) -> list[Piece]:
        pieces = self._sentences.close()
        if self._fence:
            pieces.append(Piece("\n".join(self._fence), ends=True))
        if self._head and not self._rows and not is_delimiter_row(self._head[0]):
            pieces.append(Piece("\n".join(self._head), ends=True))
        self._fence = []
        self._head = []
        self._rows = 0
        self._repeated_chars = 0
        self._bare_table = False
        self._kind = LineKind.BLANK
        return pieces


def _lines(text: str) -> list[str]:
    """Split a text after each line feed. ``str.splitlines`` would also split it at other characters."""
    parts = text.split("\n")
    lines = [part + "\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


_INTEREST = re.compile(r"[.!?…。！？｡`\[<【]|https?://")
_TERMINATORS = re.compile(r"[.!?…。！？｡]+")
_CLOSERS = re.compile(r"[\"'”’»)\]*_~」』）】]*")
_EMOJI = re.compile(
    r"(?:[ \t]{0,2}[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2764]+[\ufe0f\u200d\u2640\u2642]*)+(?=\s|$)"
)
_NEXT = re.compile(r"\s++[\"'“‘«(\[*_~「『（]*+(.)", re.DOTALL)
_CLAUSE = re.compile(r"[,;:)–—][\"'”’)*_]*\s+|\s-\s+|[，、；：]")
_SPACE = re.compile(r"\s+")
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


class _Sentences:
    """Finds the ends of sentences in the text of one block."""

    def __init__(self) -> None:
        self._reset("")

    def _reset(self, text: str) -> None:
        self._text = text
        self._begin = 0  # index at which the present piece begins
        self._scanned = 0  # no sentence ends before this index
        self._spans: list[tuple[int, int, int]] = []  # start, end, and number of characters that are not spoken

    def feed(self, text: str) -> list[Piece]:
        self._text += text
        if not self._scanned:
            self._text = self._text.lstrip()
        return self._take(final=False)

    def close(self) -> list[Piece]:
        pieces = self._take(final=True)
        rest = self._text[self._begin :].strip()
        self._reset("")
        return [*pieces, Piece(rest, ends=True)] if rest else pieces

    def take_table_head(self, delimiter: str) -> str | None:
        """Remove and return the last line if it is the head of a table, else return None.

        ``delimiter``: the next line, a possible delimiter row. Both lines must contain a pipe.
        """
        if "|" not in delimiter:
            return None
        pending = self._text[self._begin :].rstrip()
        line = pending[pending.rfind("\n") + 1 :]
        if "|" not in line:
            return None
        self._text = self._text[: self._begin + len(pending) - len(line)]
        self._scanned = min(self._scanned, len(self._text))
        self._spans = [span for span in self._spans if span[1] <= len(self._text)]
        return line.strip()

    def _take(self, final: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while True:
            end = self._scan(final)
            while (cut := self._cut()) is not None:
                pieces.append(Piece(self._text[self._begin : cut].strip(), ends=False))
                self._begin = cut
            if end is None:
                return pieces
            if sentence := self._text[self._begin : end].strip():
                pieces.append(Piece(sentence, ends=True))
            self._reset(self._text[end:].lstrip())

    def _scan(self, final: bool) -> int | None:
        """Search for the end of the sentence, starting at ``_scanned``. Return the index after the end.

        Return None if the text so far contains no certain end of a sentence.

        ``final``: whether no more text will arrive.
        """
        text = self._text
        while True:
            found = _INTEREST.search(text, self._scanned)
            if found is None:
                # The last characters may be the start of "https://".
                self._scanned = len(text) if final else max(self._scanned, len(text) - 8)
                return None
            at = found.start()
            if text[at] in "`[<【h":
                after, hidden = span(text, at, final)
                if after is None and not final:
                    self._scanned = at
                    return None
                if after is not None and after > at + 1:
                    self._spans.append((at, after, hidden))
                self._scanned = after or at + 1
                continue
            run = _TERMINATORS.match(text, at)
            stop = run.end() if run else at + 1
            close = _CLOSERS.match(text, stop)
            after = close.end() if close else stop
            ends = _ends(text, at, stop, after)
            if ends is None and not final:
                self._scanned = at
                return None
            emoji = _EMOJI.match(text, after) if ends else None
            if ends:
                after = emoji.end() if emoji else after
                if not final and not text[after:].strip():  # more emoji may follow
                    self._scanned = at
                    return None
            self._scanned = after
            if ends:
                return after

    def _cut(self) -> int | None:
        """Return the index at which to cut the present piece, or None if it is not too long.

        Only text before ``_scanned`` is considered, because later text may still change.
        """
        window = self._begin + MAX_SENTENCE_CHARS
        for start, after, hidden in self._spans:
            if self._begin <= start < window:
                window = max(window + hidden, after if hidden else 0)
        if self._scanned <= window:
            return None
        earliest = self._begin + _MIN_CUT_CHARS
        clauses = [m.end() for m in _CLAUSE.finditer(self._text, earliest, window)]
        words = [m.end() for m in _SPACE.finditer(self._text, earliest, window)]
        for candidates in (clauses, words):
            for cut in reversed(candidates):
                if not self._joins(cut):
                    return cut
        return words[-1] if words else window

    def _joins(self, cut: int) -> bool:
        """Return True if the text must not be cut at this index.

        A cut must not be inside a link or a code span, beside a number, after "RM", "Dr." or the like, or where no new
        word begins.
        """
        if any(start < cut < after for start, after, _ in self._spans):
            return True
        before = self._text[:cut].rstrip()[-6:]
        after = self._text[cut : cut + 6]
        if not after or not (after[0].isalnum() or after[0] in "\"'“‘([*_`"):
            return True
        digit_before = any(char.isdigit() for char in before)
        return digit_before or after[0].isdigit() or before.endswith(("RM", "$", "Dr.", "No."))


def _ends(text: str, at: int, stop: int, after: int) -> bool | None:
    """Return whether the punctuation text[at:stop] ends a sentence, or None if that depends on text still to come.

    ``after``: index after any closing quotes or brackets that follow the punctuation.
    """
    if after >= len(text):
        return None
    run = text[at:stop]
    if run[-1] in "。！？｡" or (run[-1] in "!?" and _WIDE.match(text, after)):
        return True
    if not text[after].isspace():
        return False
    following = _NEXT.match(text, after)
    if following is None:
        return None
    char = following[1]
    if run == ".":
        return full_stop_ends(text, at, after, char)
    if run == "!" and char in "=+*/×÷" and text[at - 1 : at].isdigit():
        return False  # a factorial
    if "!" in run or "?" in run:
        return not (after > stop and char.islower())
    return not char.islower()  # an ellipsis
