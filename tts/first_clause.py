"""Splits the beginning of a reply into short parts, so that its sound starts soon and the rest is ready when needed.

While one part is heard the next is made, so each may be about twice as long as the one before it. A sentence is cut
where a speaker would breathe: after punctuation, else before a word that begins a phrase, before a Malay verb or after
the word that ends its subject ("Kucing itu | tidur").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spoken_text.pronunciation.words import is_verb

# At least and at most so many letters: about 1.2, 3 and 6 seconds of speech. What follows is whole sentences.
PARTS = ((9, 28), (18, 56), (36, 110))
_LATER = 1.6  # where no place fits, one that comes later, by so much at most
_WHOLE = 1.4  # what is longer by no more than this is not cut, but for the first part
_LETTERS_OF_HAN = 3.5  # a Chinese character takes about as long as so many letters
_PAUSE = re.compile(r"[,;:—，、；：]\s*")
_SPACE = re.compile(r"\s+")
_WORD_BEFORE = re.compile(r"[a-z]+$", re.IGNORECASE)
_WORD_AFTER = re.compile(r"[a-z]+", re.IGNORECASE)
_BEGIN_PHRASES = frozenset(
    """
    dan atau tetapi yang untuk supaya agar kerana sebab apabila jika kalau sebelum selepas ketika sambil pada di ke dari
    oleh hingga sehingga setiap sebanyak dengan daripada dalam bagi kepada seperti akan sudah telah boleh ialah adalah
    and or but that which who to for because when while if before after with from in on at is are was were has had will
    can would should could must
    """.split()
)
_END_SUBJECTS = frozenset("itu ini tersebut".split())
# What follows these belongs to them: "tidak dikenali", "mula berjalan".
_BIND = frozenset(
    "tidak belum bukan perlu mahu ingin nak hendak dapat mesti harus sedang pernah cuba mula sangat".split()
)
_HAN = re.compile(r"[\u3400-\u9fff]")
# What is spoken in one piece, in letters: a quarter of a minute. Digits that are written out can be five times as long
# as they were, and while a worker speaks a piece everybody else waits for it.
LONGEST_PIECE = 200


def first_parts(text: str, parts: tuple[tuple[int, int], ...] = PARTS) -> list[str]:
    """A reply's first sentence (speakable text) in parts that together are it; alone where it is short or has no place
    to be cut. A part that ends between two words ends in a comma, which keeps the voice up."""
    found: list[str] = []
    for shortest, longest in parts:
        is_first = not found
        if length(text) <= longest * (1 if is_first else _WHOLE):
            break
        cut = _cut(text, shortest, longest, is_first=is_first)
        if not cut:
            continue
        head = text[:cut].rstrip()
        text = text[cut:].lstrip()
        found.append(head if _PAUSE.search(head[-1]) else f"{head},")
    return [*found, text]


def in_pieces(text: str, longest: int = LONGEST_PIECE) -> Iterator[str]:
    """Speakable text in pieces of at most `longest` letters, cut after punctuation, else between words or anywhere."""
    while length(text) > longest:
        fitting = int(longest / _LETTERS_OF_HAN) if _HAN.search(text, 0, longest) else longest
        cut = _last(_PAUSE, text, fitting) or _last(_SPACE, text, fitting) or fitting
        if piece := text[:cut].strip():
            yield piece
        text = text[cut:].strip()
    if text:
        yield text


def _last(pattern: re.Pattern[str], text: str, end: int) -> int:
    """The end of the last match within `text[:end]`; 0 if there is none."""
    return max((found.end() for found in pattern.finditer(text, 0, end)), default=0)


def length(text: str) -> float:
    """The text's speaking time, measured in Latin letters; a Chinese character counts as several."""
    return len(text) + (_LETTERS_OF_HAN - 1) * len(_HAN.findall(text))


def _cut(text: str, shortest: int, longest: int, *, is_first: bool) -> int:
    """Where the first part ends; 0 for nowhere. The very first part ends as soon as it can, later ones as late."""
    pauses = [found.end() for found in _PAUSE.finditer(text, 0, len(text) - 1)]
    for latest in (longest, longest * _LATER):
        for places in (pauses, list(_phrases(text))):
            fitting = [place for place in places if shortest <= length(text[:place]) <= latest]
            if fitting:
                return fitting[0] if is_first or latest > longest else fitting[-1]
    return 0


def _phrases(text: str) -> Iterator[int]:
    """Where a phrase begins within `text`."""
    for space in _SPACE.finditer(text):
        before = _WORD_BEFORE.search(text, 0, space.start())
        after = _WORD_AFTER.match(text, space.end())
        if not before or not after:
            continue
        last = before[0].lower()
        following = after[0].lower()
        if last in _BEGIN_PHRASES or last in _BIND:
            continue
        if following in _BEGIN_PHRASES or last in _END_SUBJECTS or is_verb(following):
            yield space.end()
