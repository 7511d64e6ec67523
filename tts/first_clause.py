"""Split the first sentence of a reply into short parts, so that playback starts soon and does not pause.

Each part is synthesised while the previous part plays, so each part may be about twice as long as the previous one. A
sentence is cut where a speaker would breathe: after punctuation, or else at one of these places:

- before a word that begins a phrase, such as "untuk", "which" or 因为;
- before a Malay verb;
- after a word that ends the subject ("Kucing itu | tidur").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spoken_text.pronunciation.words import is_verb

# Minimum and maximum letters of each part: about 1.2, 3 and 6 seconds of speech. Whole sentences follow.
PARTS = ((9, 28), (18, 56), (36, 110))
_LATER = 1.6  # a part without a place to cut within its limits may be up to this many times its maximum
# After the first part, the rest of the sentence stays whole if it is at most this many times the next part's maximum.
_WHOLE = 1.4
_LETTERS_OF_HAN = 3.5  # speaking a Chinese character takes about as long as this many letters
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
# No cut after these words, because they belong to the next word: "tidak dikenali", "mula berjalan".
_BIND = frozenset(
    "tidak belum bukan perlu mahu ingin nak hendak dapat mesti harus sedang pernah cuba mula sangat".split()
)
# Chinese conjunctions that begin a clause. Chinese has no spaces, so a word may also be the end of one word and the
# beginning of the next: 如果 in 例如|果汁. Only words with few such neighbours are listed, and these are excluded.
_HAN_BEGIN_PHRASES = re.compile(
    "(?:(?<!原)因为|(?<![不非])但是|(?<![例比假譬])如果|虽然|而且|(?<![合吞兼])并且|或者)+",
)
_HAN = re.compile(r"[\u3400-\u9fff]")
# Maximum letters in one piece: about 15 seconds of speech. Longer text is cut, because other requests wait while a
# worker speaks a piece. Even a short sentence may be that long once its digits are written out as words.
LONGEST_PIECE = 200
_FULL_ENOUGH = 0.75  # a piece of Chinese ends before a phrase only if it then has at least this share of its maximum


def first_parts(text: str, parts: tuple[tuple[int, int], ...] = PARTS) -> list[str]:
    """Cut the first sentence of a reply into parts. A sentence that is short or has no place for a cut stays whole.

    ``text``: speakable text.
    ``parts``: minimum and maximum number of letters of each part.

    A part that ends without punctuation gets a comma, so that the voice does not fall as at the end of a sentence.
    """
    text = text.lstrip()  # so that no part is empty
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
    """Yield speakable text in pieces that are at most ``longest`` letters long, as ``length`` counts them.

    Cuts are after punctuation if possible, else between words, else before a Chinese phrase, else anywhere.
    """
    while length(text) > longest:
        fitting = int(longest / _LETTERS_OF_HAN) if _HAN.search(text, 0, longest) else longest
        phrases = [found.start() for found in _HAN_BEGIN_PHRASES.finditer(text, 0, fitting + 2)]  # words of two letters
        late = [place for place in phrases if _FULL_ENOUGH * fitting < place <= fitting]
        cut = _last(_PAUSE, text, fitting) or _last(_SPACE, text, fitting) or max(late, default=fitting)
        if piece := text[:cut].strip():
            yield piece
        text = text[cut:].strip()
    if text:
        yield text


def _last(pattern: re.Pattern[str], text: str, end: int) -> int:
    """Return the end of the last match within ``text[:end]``, or 0 if there is none."""
    return max((found.end() for found in pattern.finditer(text, 0, end)), default=0)


def length(text: str) -> float:
    """Return the estimated speaking time of a text, in Latin letters. A Chinese character counts as 3.5 letters."""
    return len(text) + (_LETTERS_OF_HAN - 1) * len(_HAN.findall(text))


def _cut(text: str, shortest: int, longest: int, *, is_first: bool) -> int:
    """Return the offset in ``text`` where its first part ends, or 0 if there is no place for a cut.

    ``is_first``: whether this is the first part of the reply. The first part ends at the earliest place within its
    limits, later parts at the latest place. If there is no place within the limits, a part ends at the first place
    after them, up to ``_LATER`` times the maximum.
    """
    pauses = [found.end() for found in _PAUSE.finditer(text, 0, len(text) - 1)]
    for latest in (longest, longest * _LATER):
        for places in (pauses, sorted(_phrases(text))):
            fitting = [place for place in places if shortest <= length(text[:place]) <= latest]
            if fitting:
                return fitting[0] if is_first or latest > longest else fitting[-1]
    return 0


def _phrases(text: str) -> Iterator[int]:
    """Yield the offsets in ``text`` at which a phrase begins, in any order."""
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
    for found in _HAN_BEGIN_PHRASES.finditer(text):
        yield found.start()
