"""Choose the language of each segment of a recording when the request names none.

A model knows the language of five seconds of speech, but only guesses that of half a second. So the languages of the
neighbouring segments count too, the more the shorter a segment is: "okay" in the middle of a Malay call stays Malay, a
whole English sentence stays English. Choices depend on the recording alone, not on the order in which segments are
recognised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr.transcript import Part

FOLLOWING = 2  # how many of the later segments count; all earlier ones do
_MIN_PRIOR = 0.05  # no language is ruled out by its neighbours
_MIN_PROBABILITY = 1e-3
_UNKNOWN_S = 1.0  # before anything is known: this much speech, spread evenly over all languages
_BALANCE_S = 1.5  # with this much speech, a segment counts as much as its neighbours
_MAX_PRIOR_WEIGHT = 1.5


@dataclass(frozen=True)
class Evidence:
    """What a segment says about its own language.

    ``speech_s``: seconds of speech in it.
    ``languages``: the languages on offer with the model's probability of each, from the segment's own audio.
    """

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
    """Return True if no neighbours could change the choice, so that it need not wait for later segments."""
    ranked = sorted((_log(probability) for _, probability in own.languages), reverse=True)
    if len(ranked) < 2:
        return True
    return ranked[0] - ranked[1] > own.prior_weight * math.log(1 / _MIN_PRIOR)


def choose(own: Evidence, neighbours: Sequence[Evidence]) -> str:
    """Return the segment's likeliest language, given its own evidence and that of its neighbours."""
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
