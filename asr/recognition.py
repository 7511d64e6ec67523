"""The words of one segment, all of them: what the model left out at its end or in between is recognised again.

A Whisper model now and then closes a segment early: its time stamps end seconds before the speech does. Only voice
activity detection knows that; what it heard beyond the time stamps goes to the engine once more, by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from asr.transcript import Part
from asr.units import SAMPLE_RATE, Hypothesis, Options, Samples, SpeechUnit
from asr.voice_activity import Segment
from inference.engine import Engine

Recogniser = Engine[SpeechUnit, Hypothesis]

MIN_MISSED_S = 1.0  # time stamps are rough: less than this of speech beyond them proves nothing
MAX_EXTRA_RUNS = 3  # for one segment
_STAMP_SLACK_S = 0.3
_LULL_S = 0.125  # long enough to be a gap between words rather than a stop consonant


async def recognise(
    engine: Recogniser,
    segment: Segment,
    options: Options,
    audio: Callable[[int, int], Samples],
    unit: SpeechUnit,
) -> list[Part]:
    """Parts in order, not yet checked by ``asr.guard``. ``audio(start, end)``: samples by the segment's clock.
    ``unit``: the segment, ready to be submitted; its deadline and priority hold for the extra runs too."""
    parts = [Part(segment, await engine.submit(unit))]
    open_parts = list(parts)
    while open_parts and len(parts) <= MAX_EXTRA_RUNS:
        part = open_parts.pop(0)
        for missed in missed_speech(part, audio):
            if len(parts) > MAX_EXTRA_RUNS:
                break
            samples = audio(missed.start, missed.end)
            hypothesis = await engine.submit(replace(unit, audio=samples, options=options, admitted=True))
            extra = Part(missed, hypothesis)
            if not hypothesis.text or _says_again(parts, extra):
                continue
            parts.append(extra)
            open_parts.append(extra)
    return sorted(parts, key=lambda part: part.segment.start + _first_stamp(part.hypothesis))


def missed_speech(part: Part, audio: Callable[[int, int], Samples]) -> Iterator[Segment]:
    """Speech within the part that its time stamps leave out."""
    hypothesis, segment = part.hypothesis, part.segment
    if not hypothesis.text or hypothesis.text_end is None:
        return
    slack = int(_STAMP_SLACK_S * SAMPLE_RATE)
    covered = [
        (segment.start + int(phrase.start * SAMPLE_RATE), segment.start + int(phrase.end * SAMPLE_RATE))
        for phrase in hypothesis.phrases
    ]
    for start, end in segment.spans or ((segment.start, segment.end),):
        position = start
        for from_, to in [*covered, (end, end)]:
            if min(from_, end) - position >= MIN_MISSED_S * SAMPLE_RATE:
                begin = position if position == start else _lull(audio, position - slack // 2, position + slack // 2)
                stop = min(from_, end)
                yield Segment.of(begin, stop)
            position = max(position, min(to + (slack if to < end else 0), end))


def _lull(audio: Callable[[int, int], Samples], start: int, end: int) -> int:
    """The quietest moment between two samples."""
    width = int(_LULL_S * SAMPLE_RATE)
    power = np.cumsum(np.square(audio(start, end), dtype=np.float64))
    if len(power) <= width:
        return (start + end) // 2
    return start + int(np.argmin(power[width:] - power[:-width])) + width // 2


def _says_again(parts: list[Part], extra: Part) -> bool:
    """Whether the time stamps were wrong, not the text: then the extra run hears what is there already."""
    said = _letters(" ".join(part.text for part in parts if part.segment.start <= extra.segment.start))
    return _letters(extra.text) in said[-2 * len(_letters(extra.text)) - 10 :]


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _first_stamp(hypothesis: Hypothesis) -> int:
    return int(hypothesis.phrases[0].start * SAMPLE_RATE) if hypothesis.phrases else 0
