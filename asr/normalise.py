"""Text as it is compared for error rates: case, punctuation and the writing of numbers do not count as errors."""

from __future__ import annotations

import re
import unicodedata

from tts.speakable import speakable

_NOT_WORD = re.compile(r"[^\w\s']|_")  # the hyphen too: "anak-anak" and "anak anak" are the same two words
_EDGES = re.compile(r"(?<!\w)'+|'+(?!\w)")
_HAN = re.compile(r"([\u3400-\u9fff])")
#: Written both ways by careful people; said the same.
_SPELLINGS = {"ok": "okey", "okay": "okey"}


def normalise(text: str, language: str = "ms") -> str:
    """Lower-case words separated by single spaces, numbers in words, no punctuation; Chinese by character."""
    if any(character.isdigit() for character in text):
        text = speakable(text, language)
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    text = _EDGES.sub(" ", _NOT_WORD.sub(" ", text.replace("e-mel", "emel")))
    text = _HAN.sub(r" \1 ", text)
    return " ".join(_SPELLINGS.get(word, word) for word in text.split())
