"""Draw at random how a request ends: its duration, its error if it fails, and the user's feedback."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from usage.entry import Kind, Measure

# (status, code, share of requests)
_ALL = ((500, "internal_error", 0.0006), (429, "rate_limit_exceeded", 0.0010), (403, "voice_not_enabled", 0.0012))
_HEARD = ((400, "audio_too_short", 0.0060), (400, "invalid_audio", 0.0035), (413, "audio_too_long", 0.0004))
_SPOKEN = ((400, "empty_input", 0.0018), (413, "input_too_long", 0.0009), (404, "voice_not_found", 0.0007))
LEFT = 0.008  # share of requests that the user cancels
FULL = 0.012  # share of requests refused as over capacity at the busiest moment
SLOWED = 7.0  # factor of the work's duration during the slow spell
DOWN = 0.8  # share of requests refused in an outage; the other requests wait until the user cancels

CORRECTED = 0.014  # share of transcripts that are corrected
RATED = 0.022  # share of spoken replies that are rated
_WORDS_PER_S = 2.2
_WRONG = {
    "ms": (0.150, 0.112),
    "en": (0.118, 0.104),
    "zh": (0.178, 0.150),
    "ta": (0.215, 0.185),
}  # word error rate of the first and of the second model
# Mean rating of spoken replies, by language.
_MEAN_RATING = {"ms": 4.45, "en": 4.38, "zh": 4.15, "ta": 3.95}


class Outcome(NamedTuple):
    """How a request ended, with the fields of its ledger row.

    ``audio_ms``: milliseconds of audio that were recognised.
    ``characters``: characters that were spoken.
    ``queue_ms``: milliseconds in the queue.
    ``total_ms``: duration of the request in milliseconds.
    ``status``: the HTTP status.
    ``error_code``: the error code; "" for a success.
    """

    audio_ms: int
    characters: int
    queue_ms: int
    total_ms: int
    status: int
    error_code: str

    @classmethod
    def refused(cls, status: int, code: str, took_ms: int = 3) -> Outcome:
        """Return the outcome of a request that was refused after ``took_ms`` milliseconds."""
        return cls(0, 0, 0, took_ms, status, code)


def draw_outcome(
    rng: Random,
    kind: Kind,
    audio_ms: int,
    characters: int,
    busy: float,
    *,
    is_live: bool,
    in_outage: bool,
    is_slow: bool = False,
) -> Outcome:
    """Draw the outcome of a request.

    ``audio_ms``: length of the audio to recognise; not used for text to speech.
    ``characters``: length of the text to speak; not used for speech to text.
    ``busy``: the load, from 0 (idle) to about 1 (the busiest moment of the quarter).
    ``is_live``: whether the request is a stream.
    ``in_outage``: whether the engine is down.
    ``is_slow``: whether the request falls into the period of slow answers.
    """
    is_heard = kind.measure is Measure.AUDIO
    if in_outage:
        if rng.random() < DOWN:
            return Outcome.refused(503, "engine_unavailable", rng.randint(2, 9))
        return Outcome(0, 0, 0, rng.randint(4_000, 30_000), 499, "client_closed_request")
    luck = rng.random()
    for status, code, share in (*_ALL, *(_HEARD if is_heard else _SPOKEN), (503, "over_capacity", FULL * busy**4)):
        luck -= share
        if luck < 0:
            return Outcome.refused(status, code, rng.randint(2, 60))
    queue_ms = int(rng.expovariate(1 / (8 + 420 * busy**4)))
    slow = rng.lognormvariate(0, 0.33) * (1 + 1.1 * busy**3) * (SLOWED if is_slow else 1)
    # A user waits until the first sentence is spoken, or until the whole utterance is transcribed.
    work_ms = (170 + 0.055 * audio_ms) * slow if is_heard else (140 + 2.6 * characters) * slow
    total_ms = queue_ms + round(work_ms)
    if is_live:
        total_ms += audio_ms if is_heard else round(characters * 65)  # as long as the user talks or listens
    if rng.random() < LEFT:
        part = rng.random() if is_live or not is_heard else 0.0  # the part of the stream before the cancellation
        total_ms = round(total_ms * (0.3 + 0.6 * rng.random()))
        return Outcome(
            round(part * audio_ms), round(part * characters), queue_ms, total_ms, 499, "client_closed_request"
        )
    return Outcome(audio_ms, characters, queue_ms, total_ms, 200, "")


def word_errors(rng: Random, audio_ms: int, language: str, *, is_better: bool) -> tuple[float, int] | None:
    """Draw a correction of a transcript; return its word error rate and its number of words.

    Return None if the user does not correct the transcript.

    ``audio_ms``: length of the audio. It determines the number of words.
    ``is_better``: whether the better of the two models was used.
    """
    if rng.random() >= CORRECTED:
        return None
    words = max(2, round(_WORDS_PER_S * audio_ms / 1000))
    share = min(0.9, _WRONG[language][is_better] * rng.lognormvariate(-0.18, 0.6))
    return sum(rng.random() < share for _ in range(words)) / words, words


def draw_rating(rng: Random, language: str) -> int | None:
    """Draw a rating of a reply, from 1 to 5; None if the user does not rate it."""
    if rng.random() >= RATED:
        return None
    return min(5, max(1, math.floor(rng.gauss(_MEAN_RATING[language], 0.75) + 0.5)))
