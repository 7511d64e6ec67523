"""What goes into the speech-recognition engine, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from inference.engine import Unit

SAMPLE_RATE = 16_000
MAX_SEGMENT_S = 30.0
SPEECH_PADDING_MS = 200  # before and after what voice activity detection calls speech
TURN_SILENCE_MS = 500  # of silence, which ends a turn of live speech unless the client says otherwise; OpenAI's default

Samples = npt.NDArray[np.float32]
Task = Literal["transcribe", "translate"]

#: First beam search. Then, only for a text that nobody can have said, once at a higher temperature (``asr.decoding``).
FALLBACK_TEMPERATURES = (0.0, 0.4)


@dataclass(frozen=True)
class Options:
    """How to recognise a unit.

    ``language``: ISO 639-1; None to detect it.
    ``task``: write what was said, or translate it into English.
    ``prompt``: text that came before, or its style.
    ``keywords``: names and terms to expect.
    ``temperatures``: for the first try and, if its text looks wrong, for further tries.
    ``timestamps``, ``words``: whether to time phrases, and words.
    ``logprobs``: whether the hypothesis lists its tokens.
    ``language_priors``: pairs of a language and its weight in detection; languages that are not listed weigh 1.
    ``candidates``: languages to choose from in detection; empty: all on offer.
    ``greedy``: no beam search, for a partial text that is soon replaced.
    """

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
        """The prompt and keywords. Where a model hears nothing, it may write these."""
        return " ".join((self.prompt, *self.keywords)).strip()


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """One speech segment to recognise.

    ``audio``: float32 mono at ``SAMPLE_RATE`` within [-1, 1], shape (n,), at most ``MAX_SEGMENT_S`` long.
    """

    audio: Samples
    options: Options = field(default_factory=Options)

    @property
    def duration_s(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@dataclass(frozen=True)
class Word:
    """A word with its time.

    ``start``, ``end``: seconds.
    ``probability``: the model's, averaged over the word's tokens.
    """

    text: str
    start: float
    end: float
    probability: float

    def shifted(self, seconds: float) -> Word:
        return Word(self.text, self.start + seconds, self.end + seconds, self.probability)


@dataclass(frozen=True)
class Token:
    """A token of the text.

    ``piece``: its UTF-8 bytes, which need not be whole characters.
    ``logprob``: natural logarithm of its probability.
    """

    id: int
    piece: bytes
    logprob: float


@dataclass(frozen=True)
class Phrase:
    """A stretch of text within a hypothesis, cut where the model's timestamp tokens are. Times are in seconds."""

    text: str
    start: float
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Hypothesis:
    """What the model believes was said in one unit. Times are seconds from the unit's start.

    ``language``, ``language_probability``: the language it was decoded in, and how likely that is.
    ``avg_logprob``: mean log probability of its tokens.
    ``compression_ratio``: UTF-8 bytes over deflated bytes; high for loops.
    ``no_speech_prob``: the model's own probability that nothing was said.
    ``temperature``: that of the try that gave the text.
    ``queued_ms``: how long the unit waited for its batches.
    ``languages``: each candidate with the model's probability, likeliest first, before any weights; only the requested
    language if one was requested.
    ``tokens``: those of the text, if ``Options.logprobs`` asks for them.
    ``text_end``: when the text ends by the model's own timestamps; None if it does not end with one.
    ``tries``: how often the unit was decoded.
    """

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
