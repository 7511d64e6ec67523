"""What the recognition of a unit (speech segment) asks of a Whisper model, and the model's answers.

``asr.decoding`` recognises a unit step by step: it yields requests, and gets the answers. Two kinds of model answer
them. ``asr.batched_model`` uses CTranslate2, and answers the requests of a whole batch together. ``asr.native.model``
answers each unit's requests separately, so units can be at different requests.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

R = TypeVar("R")

BEST_OF = 2  # number of texts that are sampled at a temperature above 0, of which the likeliest is kept
MAX_INITIAL_TIMESTAMP = 50  # maximum of the first timestamp, in steps of 20 ms


@dataclass(frozen=True)
class DetectLanguage:
    """Which language is spoken? The answer is a list of all languages with their probabilities: ("<|ms|>", 0.9)."""


@dataclass(frozen=True)
class Generate:
    """Which text is spoken? The answer is a ``Generated``.

    ``prompt``: the token ids before the text, without the token for "no timestamps".
    ``limit``: maximum number of tokens in the text.
    ``timestamps``: whether the text has timestamps.
    ``suppressed``: ids of tokens that it must not contain.
    ``beam_size``: width of the beam search.
    ``temperature``: if it is above 0, ``BEST_OF`` texts are sampled instead.
    """

    prompt: tuple[int, ...]
    limit: int
    timestamps: bool
    suppressed: tuple[int, ...]
    beam_size: int
    temperature: float


@dataclass(frozen=True)
class Generated:
    """The text of a unit.

    ``tokens``: token ids, without the prompt and the end-of-text token.
    ``score``: sum of the log probabilities of all tokens, the end-of-text token included, divided by the number of
    ``tokens``.
    ``no_speech_prob``: probability that the unit has no speech.
    """

    tokens: list[int]
    score: float
    no_speech_prob: float


@dataclass(frozen=True)
class Align:
    """When was each token of a text spoken? The answer is a ``Timing``.

    ``start``: the start sequence, without the token for "no timestamps".
    ``text``: token ids of the text; at least one.
    ``frames``: number of feature frames that are not padding.
    """

    start: tuple[int, ...]
    text: tuple[int, ...]
    frames: int


@dataclass(frozen=True)
class Timing:
    """When the tokens of a text were spoken.

    ``alignments``: pairs of a token's place in the text and one of its frames, in order. The place after the last token
    stands for the end of the text.
    ``probabilities``: probability of each token.
    """

    alignments: tuple[tuple[int, int], ...]
    probabilities: tuple[float, ...]


Request = DetectLanguage | Generate | Align
Dialogue = Generator[Request, Any, R]  # yields requests, gets the answers, and returns a result
