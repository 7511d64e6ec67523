"""Events that a ``StreamingSession`` emits."""

from __future__ import annotations

from dataclasses import dataclass

from asr.units import Token, Word


@dataclass(frozen=True)
class SpeechStarted:
    """The event that speech has started.

    ``number``: number of the utterance, counted from 0.
    ``at_ms``: start of the utterance, which includes some audio before the speech, in milliseconds since the start of
    the stream.
    """

    number: int
    at_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """The event that speech has stopped, which ends the utterance.

    ``number``: number of the utterance, counted from 0.
    ``at_ms``: time at which the end was detected, in milliseconds since the start of the stream.
    """

    number: int
    at_ms: int


@dataclass(frozen=True)
class Committed:
    """The event that all audio of an utterance has arrived. Its ``Final`` or ``Failed`` event follows."""

    number: int


@dataclass(frozen=True)
class Partial:
    """The event of a partial result: the text of an open utterance so far.

    ``stable``: the beginning of ``text`` that later partial results will not change.
    """

    number: int
    text: str
    stable: str


@dataclass(frozen=True)
class Final:
    """The event of a final result: the text of a complete utterance.

    ``words``: words with their times since the start of the stream; empty unless requested.
    ``start_ms``: start of the speech, in milliseconds since the start of the stream.
    ``end_ms``: end of the speech, in milliseconds since the start of the stream.
    ``audio_ms``: length of the utterance's audio in milliseconds. No audio counts in two utterances.
    ``language``: code of the recognised language.
    ``tokens``: tokens with their log probabilities; empty unless requested.
    """

    number: int
    text: str
    words: tuple[Word, ...]
    start_ms: int
    end_ms: int
    audio_ms: int
    language: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The event that an utterance could not be recognised. The stream continues."""

    number: int
    error: Exception


Event = SpeechStarted | SpeechStopped | Committed | Partial | Final | Failed
