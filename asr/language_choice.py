"""Chooses the language of each segment of a recording when the request names none.

A model that hears half a second guesses; one that hears five seconds knows. So what the neighbouring segments are in
counts, the more the shorter a segment is: "okay" in the middle of a Malay call stays Malay, a whole English sentence
stays English. Decisions depend on the recording alone, not on which segment was recognised first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr.transcript import Part

FOLLOWING = 2  # segments after this one that count; all of those before it do
_MIN_PRIOR = 0.05  # no language is ruled out by its neighbours
_MIN_PROBABILITY = 1e-3
_UNKNOWN_S = 1.0  # what is not known yet counts as so much speech, evenly in all languages
_BALANCE_S = 1.5  # of speech, at which a segment and its neighbours count alike
_MAX_PRIOR_WEIGHT = 1.5


@dataclass(frozen=True)
class Evidence:
    """``languages``: the model's probabilities for those on offer, from the segment's own audio."""

    speech_s: float
    languages: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, part: Part) -> Evidence:
        hypothesis = part.hypothesis
        return cls(part.segment.speech_s, hypothesis.languages or ((hypothesis.language, 1.0),))

    @property
    def prior_weight(self) -> float:
        return min(_MAX_PRIOR_WEIGHT, _BALANCE_S / max(self.speech_s, 0.1))


def is_sure(own: Evidence) -> bool:
    """Whether no neighbours could change the choice: it need not wait for those that follow."""
    ranked = sorted((_log(probability) for _, probability in own.languages), reverse=True)
    if len(ranked) < 2:
        return True
    return ranked[0] - ranked[1] > own.prior_weight * math.log(1 / _MIN_PRIOR)


def choose(own: Evidence, neighbours: Sequence[Evidence]) -> str:
    """Return the likeliest of the languages that the segment may be in."""
    prior = _prior([code for code, _ in own.languages], neighbours)
    return max(own.languages, key=lambda item: _log(item[1]) + own.prior_weight * math.log(prior[item[0]]))[0]


def _prior(codes: Sequence[str], neighbours: Sequence[Evidence]) -> dict[str, float]:
    heard = {code: _UNKNOWN_S / len(codes) for code in codes}
    for neighbour in neighbours:
        total = sum(probability for _, probability in neighbour.languages) or 1.0
        for code, probability in neighbour.languages:
            if code in heard:
                heard[code] += neighbour.speech_s * probability / total
    whole = sum(heard.values())
    return {code: max(_MIN_PRIOR, seconds / whole) for code, seconds in heard.items()}


def _log(probability: float) -> float:
    return math.log(max(probability, _MIN_PROBABILITY))
