"""Turn IPA into the symbols that Kokoro was trained on, and symbols into token numbers.

Kokoro writes each affricate and each closing diphthong of English as a single symbol, and the tones of Mandarin as
arrows (hexgrad/misaki describes the notation). A sound without a symbol is replaced by the nearest symbol, or left
out. No phoneme raises an error.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

# The model takes up to 510 symbols. This limit is lower, because the working memory (0.5 GB at 500 symbols) and the
# waiting time of other requests grow with the length.
MAX_SYMBOLS = 200
_MIN_CUT = 60  # a shorter piece sounds like a hesitation

# Sound that IPA writes with several characters → Kokoro's symbol or symbols.
_WHOLE = {
    "t͡ʃ": "ʧ",
    "d͡ʒ": "ʤ",
    "t͡s": "ʦ",
    "d͡z": "ʣ",
    "t͡ɕ": "ʨ",
    "d͡ʑ": "ʥ",
    "ʈ͡ʂ": "ꭧ",
    "tʃ": "ʧ",
    "dʒ": "ʤ",
    "tɕ": "ʨ",
    "dʑ": "ʥ",
    "ʈʂ": "ꭧ",
    "eɪ": "A",
    "aɪ": "I",
    "oʊ": "O",
    "əʊ": "Q",
    "aʊ": "W",
    "ɔɪ": "Y",
    "ɜːɹ": "ɜɹ",
    "ɜː": "ɜɹ",
    "ɚ": "əɹ",
    "ɝ": "ɜɹ",
    "əl̩": "ᵊl",
    "l̩": "ᵊl",
    "n̩": "ᵊn",
    "m̩": "ᵊm",
}
# Character without a symbol → the nearest symbol, or "" to leave it out.
_NEAREST = {
    "g": "ɡ",
    "ɫ": "l",
    "ɬ": "l",
    "ʀ": "ʁ",
    "ɦ": "h",
    "ħ": "h",
    "ʕ": "ʔ",
    "ʍ": "w",
    "ɱ": "m",
    "ʉ": "u",
    "ɘ": "ə",
    "ɵ": "o",
    "ɞ": "ɜ",
    "ä": "a",
    "ʑ": "ʒ",
    "ʐ": "ɻ",
    "ɭ": "l",
    "ɺ": "ɾ",
    "ɢ": "ɡ",
    "ɓ": "b",
    "ɗ": "d",
    "ɠ": "ɡ",
    "ʏ": "y",
    "ɶ": "œ",
    "ɮ": "l",
    "ʄ": "ʤ",
    "ꜜ": "",
    "̯": "",
    "͡": "",
    "̩": "",
    "̪": "",
    "̚": "",
    "‿": " ",
    "-": " ",
    "¡": "",
    "¿": "",
    "、": ",",
    "，": ",",
    "。": ".",
    "！": "!",
    "？": "?",
    "：": ":",
    "；": ";",
    "·": " ",
    "–": "—",
    "(": ",",
    ")": ",",
    "«": "“",
    "»": "”",
    "「": "“",
    "」": "”",
    "《": "“",
    "》": "”",
    "\n": " ",
    "\t": " ",
}
_WHOLE_PATTERN = re.compile(  # not before a tone arrow, because Mandarin is already in Kokoro's symbols
    "(?:" + "|".join(sorted(map(re.escape, _WHOLE), key=len, reverse=True)) + r")(?![→↗↓↘])"
)
_SPEAKS = re.compile(r"[^\W\d_]")
_SENTENCE_PAUSE = ".!?…"
_CLAUSE_PAUSE = ",;:—"


def symbols(ipa: str, vocabulary: Mapping[str, int]) -> str:
    """Turn IPA into the model's symbols. Return "" if no symbol is left that can be pronounced."""
    text = _WHOLE_PATTERN.sub(lambda found: _WHOLE[found[0]], unicodedata.normalize("NFC", ipa))
    kept: list[str] = []
    for char in text:
        known = char if char in vocabulary else _NEAREST.get(char, _decomposed(char, vocabulary))
        if known and all(one in vocabulary for one in known):
            kept.append(known)
        elif not known and char not in _NEAREST:
            logger.debug("no symbol for %r: left out", char)
    said = re.sub(r"\s+", " ", "".join(kept)).strip()
    said = re.sub(r" (?=[.,!?;:…])", "", said)
    return said if _SPEAKS.search(said) else ""


def _decomposed(char: str, vocabulary: Mapping[str, int]) -> str:
    """Split a character into its letter and its diacritics, and return those that are in the vocabulary."""
    return "".join(one for one in unicodedata.normalize("NFD", char) if one in vocabulary)


def pieces(said: str, longest: int = MAX_SYMBOLS) -> Iterator[str]:
    """Yield a sentence in pieces of at most ``longest`` symbols.

    ``said``: the sentence in the model's symbols.

    Cuts are after the end of a sentence if possible, else after a comma or a similar mark, else between words, else
    anywhere.
    """
    while len(said) > longest:
        head = said[:longest]
        cut = _last(head, _SENTENCE_PAUSE) or _last(head, _CLAUSE_PAUSE) or _last(head, " ") or longest
        if piece := said[:cut].strip():
            yield piece
        said = said[cut:].strip()
    if said:
        yield said


def _last(text: str, marks: str) -> int:
    """Return the offset after the last of ``marks`` in ``text``, or 0 if the piece before it would be too short."""
    at = max(text.rfind(mark) for mark in marks)
    return at + 1 if at >= _MIN_CUT else 0


def tokens(piece: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Return the token numbers of a piece's symbols, with the padding token 0 at both ends."""
    return [0, *(vocabulary[char] for char in piece), 0]
