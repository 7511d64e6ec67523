"""The input and the output of the speech recognition engine.

A unit is one speech segment to recognise (``SpeechUnit``). Its result is a ``Hypothesis``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from inference.engine import Unit

SAMPLE_RATE = 16_000
MAX_SEGMENT_S = 30.0
SPEECH_PADDING_MS = 200  # length of the audio added before and after detected speech
TURN_SILENCE_MS = 500  # default length of the silence that ends a turn of live speech, the same as OpenAI's

Samples = npt.NDArray[np.float32]
Task = Literal["transcribe", "translate"]

#: The first attempt (temperature 0) uses beam search. The last attempt, at 0.4, is made only if the text is still
#: implausible in the full context (``asr.decoding``).
FALLBACK_TEMPERATURES = (0.0, 0.4)


@dataclass(frozen=True)
class Options:
    """How to recognise a unit.

    ``language``: code of the spoken language; None to detect it.
    ``task``: "transcribe" to write in the spoken language, or "translate" to write in English.
    ``prompt``: text that precedes the speech, or an example of the style of writing.
    ``keywords``: names and terms to expect.
    ``temperatures``: temperature of the first attempt, and of further attempts if the text looks wrong.
    ``timestamps``: whether to time phrases.
    ``words``: whether to time words.
    ``logprobs``: whether to list the tokens with their log probabilities.
    ``language_priors``: pairs of a language and its weight in language detection. Other languages have the weight 1.
    ``candidates``: languages among which to detect; if empty, all languages that the service offers.
    ``greedy``: whether to decode without beam search, for a partial result that is soon replaced.
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
        """The prompt and the keywords as one text. A model that recognises no speech may write parts of this text."""
        return " ".join((self.prompt, *self.keywords)).strip()


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """One speech segment to recognise.

    ``audio``: float32 mono at ``SAMPLE_RATE`` within [-1, 1], shape (n,), at most ``MAX_SEGMENT_S`` long.
    ``stream``: number of the live stream to which the unit belongs; 0 for a recording.
    """

    audio: Samples
    options: Options = field(default_factory=Options)
    stream: int = 0

    @property
    def duration_s(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@dataclass(frozen=True)
class Word:
    """A word with its time, in seconds.

    In a ``Hypothesis``, times count from the start of the unit. In transcripts and live results, they count from the
    start of the recording or the stream.

    ``start``: start of the word.
    ``end``: end of the word.
    ``probability``: the model's probability, averaged over the word's tokens.
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

    ``id``: number of the token in the model's vocabulary.
    ``piece``: the token's UTF-8 bytes, which need not be whole characters.
    ``logprob``: natural logarithm of the token's probability.
    """

    id: int
    piece: bytes
    logprob: float


@dataclass(frozen=True)
class Phrase:
    """A stretch of text between two of the model's timestamp tokens.

    In a ``Hypothesis``, times count from the start of the unit. In a transcript, they count from the start of the
    recording.

    ``start``: start of the phrase in seconds.
    ``end``: end of the phrase in seconds.
    ``tokens``: token ids of the text.
    """

    text: str
    start: float
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Hypothesis:
    """The text that the model recognised in one unit. All times are seconds from the unit's start.

    ``language``: code of the language in which the unit was decoded.
    ``language_probability``: the model's probability of that language.
    ``avg_logprob``: mean log probability of the tokens.
    ``compression_ratio``: size of the text in UTF-8 divided by its compressed size; high if the text repeats itself.
    ``no_speech_prob``: the model's own probability that the unit has no speech.
    ``temperature``: temperature of the attempt that gave the text.
    ``queued_ms``: milliseconds that the unit waited for its batches.
    ``languages``: pairs of a candidate language and its probability, likeliest first. The probabilities do not include
    ``Options.language_priors``. If the request named a language, there is only one pair.
    ``tokens``: tokens of the text; empty unless ``Options.logprobs`` is set.
    ``text_end``: end of the text according to the model's last timestamp; None if the text does not end with one.
    ``tries``: number of times that the engine ran the unit.
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
