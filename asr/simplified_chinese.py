"""Convert Mandarin text to simplified characters, as used in Malaysia and Singapore.

Whisper writes Mandarin in traditional or in simplified characters, at random. Cantonese text is left unchanged.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import opencc

from asr.units import Hypothesis

MANDARIN = "zh"


def simplified(hypothesis: Hypothesis) -> Hypothesis:
    """Convert a hypothesis in Mandarin to simplified characters. Return a hypothesis in another language unchanged.

    The hypothesis's ``tokens`` are not converted.
    """
    if hypothesis.language != MANDARIN or not hypothesis.text:
        return hypothesis
    return replace(
        hypothesis,
        text=_convert(hypothesis.text),
        phrases=tuple(replace(phrase, text=_convert(phrase.text)) for phrase in hypothesis.phrases),
        words=tuple(replace(word, text=_convert(word.text)) for word in hypothesis.words),
    )


def _convert(text: str) -> str:
    return str(_converter().convert(text))


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")
