"""What goes into the speech-recognition engine and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from inference.engine import Unit

SAMPLE_RATE = 16_000
MAX_SEGMENT_S = 30.0

Samples = npt.NDArray[np.float32]
Task = Literal["transcribe", "translate"]

#: Beam search first; hotter, once, only for a text that cannot have been said (``asr.decoding``).
FALLBACK_TEMPERATURES = (0.0, 0.4)


@dataclass(frozen=True)
class Options:
    """How to recognise. ``language``: ISO 639-1, None to detect it among ``candidates`` (empty: all on offer), weighed
    by ``language_priors`` (code, weight; a language that is not named weighs 1). ``timestamps``/``words``: what to
    time. ``logprobs``: whether the hypothesis lists its tokens. ``greedy``: no beam search, for a guess that is soon
    replaced."""

    language: str | None = None
    task: Task = "transcribe"
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = FALLBACK_TEMPERATURES
    timestamps: bool = True
    words: bool = False
    logprobs: bool = False
    language_priors: tuple[tuple[str, float], ...] = ()
    candidates: tuple[str, ...] = ()
    greedy: bool = False

    @property
    def hints(self) -> str:
        """The prompt and keywords, which a model may write where it hears nothing."""
        return " ".join((self.prompt, *self.keywords)).strip()


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """One speech segment: float32 mono at ``SAMPLE_RATE`` within [-1, 1], shape (n,), at most ``MAX_SEGMENT_S``."""

    audio: Samples
    options: Options = field(default_factory=Options)

    @property
    def duration_s(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@dataclass(frozen=True)
class Word:
    """``start`` and ``end`` in seconds; ``probability`` is the model's mean over the word's tokens."""

    text: str
    start: float
    end: float
    probability: float

    def shifted(self, seconds: float) -> Word:
        return Word(self.text, self.start + seconds, self.end + seconds, self.probability)


@dataclass(frozen=True)
class Token:
    """``piece``: its UTF-8, which need not be whole characters. ``logprob``: natural logarithm."""

    id: int
    piece: bytes
    logprob: float


@dataclass(frozen=True)
class Phrase:
    """A timed stretch of text within a hypothesis, as the model's timestamp tokens cut it. Seconds."""

    text: str
    start: float
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Hypothesis:
    """What the model believes was said in one unit; times are seconds from the unit's start.

    ``avg_logprob``: mean log probability of its tokens. ``compression_ratio``: UTF-8 bytes over deflated bytes; high
    for loops. ``no_speech_prob``: the model's own probability that nothing was said.
    ``languages``: the languages on offer with the model's probability of each, likeliest first, before any prior; only
    the one that was asked for where one was. ``tokens``: those of the text, where ``Options.logprobs`` asks for them.
    ``text_end``: when, by the model's own timestamps, the text ends; None where it gave none at its end.
    ``tries``: how often the unit was decoded."""

    text: str
    language: str
    language_probability: float
    phrases: tuple[Phrase, ...]
    words: tuple[Word, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    queued_ms: float = 0.0
    languages: tuple[tuple[str, float], ...] = ()
    tokens: tuple[Token, ...] = ()
    text_end: float | None = None
    tries: int = 1
