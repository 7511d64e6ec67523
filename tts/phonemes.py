"""Text as phonemes for a neural voice: each run of one script by the rules of its language.

One speaker speaks them all, so that English words, or a name in Chinese characters, need no second voice within a
sentence. Punctuation stays: the model breathes by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tts import espeak
from tts.mandarin import mandarin
from tts.voices import primary

ESPEAK_VOICES = {"ms": "ms", "en": "en-us", "zh": "cmn", "ta": "ta"}

_HAN = r"\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_TAMIL = r"\u0b80-\u0bff"
_RUN = re.compile(rf"(?P<han>[{_HAN}]+)|(?P<tamil>[{_TAMIL}][{_TAMIL}\u200c\u200d\s]*)|(?P<other>[^{_HAN}{_TAMIL}]+)")
_PUNCTUATION = re.compile(r"(\s*[.,!?;:…—–()\"“”«»、，。！？：；「」《》]+\s*)")
_SWITCH = re.compile(r"\([a-z]{2,3}(?:-[a-z]+)?\)")  # eSpeak's note that it goes on in another language


def phonemes(text: str, language: str) -> str:
    """The International Phonetic Alphabet of speakable `text`, with its punctuation; "" where there is nothing to say.

    `language` is that of what is written in Latin letters.
    """
    return "".join(_runs(text, primary(language))).strip()


def _runs(text: str, language: str) -> Iterator[str]:
    for run in _RUN.finditer(text):
        if run["han"]:
            yield f" {mandarin(run['han'])} "
        elif run["tamil"]:
            yield f" {_spoken(run['tamil'], 'ta')} "
        else:
            yield from _latin(run["other"], "en" if language in ("zh", "ta") else language)


def _latin(text: str, language: str) -> Iterator[str]:
    for index, part in enumerate(_PUNCTUATION.split(text)):
        if index % 2:
            yield part
        elif part.strip():
            yield f"{' ' * part[0].isspace()}{_spoken(part, language)}{' ' * part[-1].isspace()}"


def _spoken(text: str, language: str) -> str:
    return _SWITCH.sub("", espeak.phonemes(text, ESPEAK_VOICES.get(language, "ms")))
