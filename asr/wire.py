"""Convert speech segments and their results to messages for the inference tier, and back.

``inference.wire`` describes the message format.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from asr.checkpoint import adopt, configured
from asr.units import MAX_SEGMENT_S, SAMPLE_RATE, Hypothesis, Options, Phrase, SpeechUnit, Token, Word
from inference.wire import Fields, WireError, pack_samples, unpack_samples

_ROUNDING_S = 0.1  # tolerance for a segment's length, because its end may be rounded up


class SpeechCodec:
    """A ``Codec[SpeechUnit, Hypothesis]``, which packs and unpacks the units and the results of speech recognition."""

    def pack_unit(self, unit: SpeechUnit) -> tuple[Fields, bytes]:
        samples, payload = pack_samples(unit.audio)
        return {"samples": samples, "options": asdict(unit.options), "stream": unit.stream}, payload

    def unpack_unit(self, fields: Fields, payload: bytes) -> SpeechUnit:
        options = fields["options"]
        tuples = {name: tuple(options[name]) for name in ("keywords", "temperatures", "candidates")}
        tuples["language_priors"] = _pairs(options["language_priors"])
        unit = SpeechUnit(
            audio=unpack_samples(fields["samples"], payload),
            options=Options(**{**options, **tuples}),
            stream=fields.get("stream", 0),  # earlier versions do not send this field
        )
        if not 0 < len(unit.audio) <= (MAX_SEGMENT_S + _ROUNDING_S) * SAMPLE_RATE:
            raise WireError(f"{unit.duration_s:.1f} s are no segment")
        return unit

    def pack_result(self, result: Hypothesis) -> tuple[Fields, bytes]:
        tokens = [(token.id, token.piece.hex(), token.logprob) for token in result.tokens]
        return {**asdict(replace(result, tokens=())), "tokens": tokens}, b""

    def unpack_result(self, fields: Fields, payload: bytes) -> Hypothesis:
        phrases = tuple(Phrase(**{**phrase, "tokens": tuple(phrase["tokens"])}) for phrase in fields["phrases"])
        words = tuple(Word(**word) for word in fields["words"])
        tokens = tuple(Token(number, bytes.fromhex(piece), logprob) for number, piece, logprob in fields["tokens"])
        tuples = {"phrases": phrases, "words": words, "tokens": tokens, "languages": _pairs(fields["languages"])}
        return Hypothesis(**{**fields, **tuples})

    def about(self) -> Fields:
        """Return the fields of the configured checkpoint, without the path of its lexicon."""
        return asdict(replace(configured(), lexicon=None))

    def samples(self) -> list[SpeechUnit]:
        return [SpeechUnit(audio=np.zeros(SAMPLE_RATE, np.float32))]

    def learn(self, about: Fields) -> None:
        adopt(about)


def _pairs(listed: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple((code, number) for code, number in listed)
