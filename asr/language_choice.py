"""Choose the language of each segment of a recording, if the request does not name a language.

A model can recognise the language of five seconds of speech, but hardly that of half a second. So the languages of the
neighbouring segments count too, and the shorter a segment is, the more they count. An "okay" in the middle of a Malay
call counts as Malay, but a whole English sentence counts as English. The choices depend only on the recording, not on
the order in which its segments are recognised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr.transcript import Part

FOLLOWING = 2  # number of later segments that count as neighbours; all earlier ones count
_MIN_PRIOR = 0.05  # minimum prior of a language, so that neighbours never rule it out
_MIN_PROBABILITY = 1e-3
_UNKNOWN_S = 1.0  # the prior starts as if this much speech had been spread evenly over all languages
_BALANCE_S = 1.5  # with this much speech in a segment, its own evidence counts as much as its neighbours
_MAX_PRIOR_WEIGHT = 1.5


@dataclass(frozen=True)
class Evidence:
    """The evidence in one segment for the language that is spoken in it.

    ``speech_s``: seconds of speech in the segment.
    ``languages``: pairs of a language and the model's probability of it, based on the audio of this segment alone.
    """

    speech_s: float
    languages: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, part: Part) -> Evidence:
        hypothesis = part.hypothesis
        return cls(part.segment.speech_s, hypothesis.languages or ((hypothesis.language, 1.0),))

    @property
    def prior_weight(self) -> float:
        """The weight of the neighbouring segments in the choice, relative to this segment's own evidence."""
        return min(_MAX_PRIOR_WEIGHT, _BALANCE_S / max(self.speech_s, 0.1))


def is_sure(own: Evidence) -> bool:
    """Return True if the segment's own evidence is so strong that no neighbours could change the choice of language.

    The language of the segment is then final, even if later segments have not been recognised yet.
    """
    ranked = sorted((_log(probability) for _, probability in own.languages), reverse=True)
    if len(ranked) < 2:
        return True
    return ranked[0] - ranked[1] > own.prior_weight * math.log(1 / _MIN_PRIOR)


def choose(own: Evidence, neighbours: Sequence[Evidence]) -> str:
    """Return the likeliest language of a segment, given its own evidence and that of the neighbouring segments."""
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
