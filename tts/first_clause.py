"""The beginning of a reply in short parts, so that its sound leaves soon and the rest is ready before it is needed.

While one part is heard the next is made, so each may be about twice as long as the one before it. A sentence is cut
where a speaker would breathe: after punctuation, else before a word that begins a phrase.
"""

from __future__ import annotations

import re

# At least and at most so many letters: about 1.2, 3 and 6 seconds of speech. What follows is whole sentences.
PARTS = ((9, 28), (18, 56), (36, 110))
_LETTERS_OF_HAN = 3.5  # a Chinese character takes about as long as so many letters
_PAUSE = re.compile(r"[,;:—，、；：]\s*")
_SPACE = re.compile(r"\s+")
_PHRASE = re.compile(
    r"\s+(?=(?:dan|atau|tetapi|yang|untuk|supaya|agar|kerana|sebab|apabila|jika|kalau|sebelum|selepas|ketika|sambil"
    r"|pada|di|ke|dari|oleh|hingga|sehingga|setiap|sebanyak|dengan|daripada|dalam|bagi|kepada|seperti|akan|sudah|telah|boleh|ialah|adalah"
    r"|and|or|but|that|which|to|for|because|when|if|before|after|with|from|in|on|at|is|are|will|can)\s)",
    re.IGNORECASE,
)
_HAN = re.compile(r"[\u3400-\u9fff]")


def first_parts(text: str, parts: tuple[tuple[int, int], ...] = PARTS) -> list[str]:
    """A reply's first sentence (speakable text) in parts that together are it; alone where it is short or has no place
    to be cut. A part that ends between two words ends in a comma, which keeps the voice up."""
    found: list[str] = []
    for shortest, longest in parts:
        if length(text) <= longest * 1.4:
            break
        cut = _cut(text, shortest, longest)
        if not cut:
            continue
        head, text = text[:cut].rstrip(), text[cut:].lstrip()
        found.append(head if _PAUSE.search(head[-1]) else f"{head},")
    return [*found, text]


def length(text: str) -> float:
    """How long it takes to say, in letters."""
    return len(text) + (_LETTERS_OF_HAN - 1) * len(_HAN.findall(text))


def _cut(text: str, shortest: int, longest: int) -> int:
    """Where the first part ends; 0 for nowhere."""
    for pattern in (_PAUSE, _PHRASE):
        places = [found.end() for found in pattern.finditer(text, 0, len(text) - 1)]
        fitting = [place for place in places if shortest <= length(text[:place]) <= longest]
        if fitting:
            return fitting[-1] if pattern is _PAUSE else fitting[0] if shortest < PARTS[1][0] else fitting[-1]
    return 0
