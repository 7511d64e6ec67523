"""Text as it is compared for error rates: case, punctuation and the writing of numbers do not count as errors."""

from __future__ import annotations

import re
import unicodedata

from spoken_text.speakable import speakable

_HAN = re.compile(r"([\u3400-\u9fff\uf900-\ufaff])")  # written without spaces: each character counts as a word
_IN_WORDS = ("L", "M", "N")  # letters, marks (Tamil's vowel signs are such) and numbers, as Unicode classes them
#: Written either way by careful people; said the same.
_SPELLINGS = {"ok": "okey", "okay": "okey"}


def normalise(text: str, language: str = "ms") -> str:
    """Lower-case words separated by single spaces, numbers in words, no punctuation; Chinese by character.

    The hyphen separates too: "anak-anak" and "anak anak" are the same two words.
    """
    if any(character.isdigit() for character in text):
        text = speakable(text, language)
    text = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").replace("e-mel", "emel")
    kept = "".join(char if char == "'" or unicodedata.category(char)[0] in _IN_WORDS else " " for char in text)
    words = (word.strip("'") for word in _HAN.sub(r" \1 ", kept).split())
    return " ".join(_SPELLINGS.get(word, word) for word in words if word)
