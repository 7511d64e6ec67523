"""Make subtitles that fit the screen: divide timed phrases into cues of at most two lines.

A cue is one subtitle with its times. The limits on its length are usual in broadcasting. Wide characters, such as
Chinese and Japanese ones, count as two columns. A line of wide characters may be broken anywhere except before closing
and after opening punctuation (the kinsoku rules).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from asr.units import Phrase

LINE_COLUMNS = 42
CUE_COLUMNS = 2 * LINE_COLUMNS
MAX_CUE_S = 7.0
_USUAL_PART = 0.8  # target length of a cue, relative to the maximum; cues end at words or commas, so some are longer
MIN_CUE_S = 0.8  # a shorter cue could not be read, so it is extended, but not beyond the start of the next cue
_NEVER_FIRST = frozenset(
    "、。，．！？：；）」』】》〉〕％‰℃…—～·・ー々ゝヽぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ,.!?:;)]}%”’"
)
_NEVER_LAST = frozenset("（「『【《〈〔“‘([{¥￥$#")
_CLOSING = frozenset("。！？；，、.!?;,…")


@dataclass(frozen=True)
class Cue:
    """One subtitle.

    ``start``: time at which the subtitle appears, in seconds from the recording's start.
    ``end``: time at which the subtitle disappears, in seconds from the recording's start.
    ``lines``: one or two lines of text.
    """

    start: float
    end: float
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Atom:
    """A piece of text that must stay on one line, such as a word.

    ``spaced``: whether a space separates this piece from the previous one, if both are on the same line.
    """

    text: str
    spaced: bool

    @property
    def columns(self) -> int:
        return columns(self.text)


def cues(phrases: Sequence[Phrase]) -> list[Cue]:
    """Divide timed phrases into cues, and return them in order. No cue begins before the previous one ends."""
    found = [cue for phrase in phrases for cue in _phrase_cues(phrase)]
    placed: list[Cue] = []
    for number, cue in enumerate(found):
        start = max(cue.start, placed[-1].end if placed else 0.0)
        following = found[number + 1].start if number + 1 < len(found) else math.inf
        earliest_end = min(start + MIN_CUE_S, max(following, start))
        placed.append(replace(cue, start=start, end=max(cue.end, earliest_end, start)))
    return placed


def columns(text: str) -> int:
    """Return the width of the text on a screen, in columns. A wide character takes two."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _phrase_cues(phrase: Phrase) -> Iterator[Cue]:
    atoms = list(_atoms(phrase.text))
    total = sum(atom.columns for atom in atoms)
    if not total:
        return
    duration = max(0.0, phrase.end - phrase.start)
    count = max(math.ceil(total / CUE_COLUMNS), math.ceil(duration / (_USUAL_PART * MAX_CUE_S)))
    start = phrase.start
    shown = 0
    for group in _groups(atoms, total / count):
        shown += sum(atom.columns for atom in group)
        end = phrase.start + duration * shown / total
        yield Cue(start, min(end, start + MAX_CUE_S), tuple(_lines(group)))
        start = end


def _groups(atoms: list[_Atom], target: float) -> Iterator[list[_Atom]]:
    """Divide the atoms into cues, and yield the atoms of each cue.

    A cue has about ``target`` columns and at most two lines, and ends at punctuation if possible.
    """
    group: list[_Atom] = []
    width = 0
    for atom in atoms:
        enough = width >= target or (width >= 0.7 * target and group[-1].text[-1] in _CLOSING)
        if group and (enough or len(_lines([*group, atom])) > 2):
            yield group
            group = []
            width = 0
        group.append(atom)
        width += atom.columns
    if group:
        yield group


def _lines(atoms: list[_Atom]) -> list[str]:
    """Arrange the atoms on as few lines as possible. If there are two lines, make them about equally long."""
    whole = _filled(atoms, LINE_COLUMNS)
    if len(whole) != 2:
        return whole
    narrowest = max(atom.columns for atom in atoms)
    for width in range(max(narrowest, columns(" ".join(whole)) // 2), LINE_COLUMNS):
        balanced = _filled(atoms, width)
        if len(balanced) == 2:
            return balanced
    return whole


def _filled(atoms: list[_Atom], width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for atom in atoms:
        longer = f"{line} {atom.text}" if line and atom.spaced else line + atom.text
        if line and columns(longer) > width:
            lines.append(line)
            longer = atom.text
        line = longer
    return [*lines, line] if line else lines


def _atoms(text: str) -> Iterator[_Atom]:
    for word in text.split():
        spaced = True
        for piece in _pieces(word):
            yield _Atom(piece, spaced)
            spaced = False


def _pieces(word: str) -> Iterator[str]:
    """Split a word wherever a line may be broken: around ideographs, and before a piece gets wider than a line."""
    piece = ""
    for character in word:
        too_wide = columns(piece + character) > LINE_COLUMNS and unicodedata.category(character)[0] != "M"
        if piece and (too_wide or _may_part(piece[-1], character)):
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _may_part(before: str, after: str) -> bool:
    if not (is_unspaced(before) or is_unspaced(after)):
        return False
    return after not in _NEVER_FIRST and before not in _NEVER_LAST


def is_unspaced(character: str) -> bool:
    """Return True for a double-width character other than Hangul, such as a Chinese or Japanese character.

    Chinese and Japanese are written without spaces. Hangul is as wide, but Korean is written with spaces. Return False
    for narrow scripts without spaces, such as Thai.
    """
    return _width(character) == 2 and not "\uac00" <= character <= "\ud7a3"
