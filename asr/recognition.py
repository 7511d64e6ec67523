"""Recognise all speech in a segment, including stretches that the model skips.

A Whisper model sometimes ends the text of a segment early: its last timestamp is seconds before the end of the speech.
Voice activity detection shows this. So speech that was detected outside the model's timestamps is cut out and sent to
the engine again, as a separate unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from asr import hallucinations
from asr.decoding import COMPRESSION_RATIO_THRESHOLD, LOGPROB_THRESHOLD, NO_SPEECH_THRESHOLD
from asr.repetition import repetition
from asr.transcript import Part
from asr.units import SAMPLE_RATE, Hypothesis, Options, Samples, SpeechUnit
from asr.voice_activity import Segment, quietest
from inference.engine import Engine
from inference.errors import InferenceError

_LOOP = re.compile(r"(\w{1,20}\W{0,3})\1{3,}")

Recogniser = Engine[SpeechUnit, Hypothesis]

MIN_MISSED_S = 1.0  # less speech outside the timestamps proves nothing, because they are imprecise
MAX_EXTRA_RUNS = 3  # maximum number of additional runs for one segment
_STAMP_SLACK_S = 0.3
_JOINED_PAUSE_S = 0.8


async def recognise(
    engine: Recogniser,
    segment: Segment,
    options: Options,
    audio: Callable[[int, int], Samples],
    unit: SpeechUnit,
) -> list[Part]:
    """Recognise a segment, and return the recognised parts in order. The caller must check them for invented text.

    ``options``: the options for skipped stretches, which are recognised separately.
    ``audio``: function that returns the samples [start, end) of the recording or stream.
    ``unit``: the unit made from the segment. The units of skipped stretches have the same deadline and priority.
    """
    parts = [Part(segment, await recognise_without_echo(engine, segment, audio, unit))]
    open_parts = list(parts)
    while open_parts and len(parts) <= MAX_EXTRA_RUNS:
        part = open_parts.pop(0)
        for missed in missed_speech(part, audio):
            if len(parts) > MAX_EXTRA_RUNS:
                break
            samples = audio(missed.start, missed.end)
            rest = replace(unit, audio=samples, options=options, admitted=True)
            hypothesis = await recognise_without_echo(engine, missed, audio, rest)
            extra = Part(missed, hypothesis)
            if not _is_credible(hypothesis) or _says_again(parts, extra):
                continue
            parts[parts.index(part)] = part = Part(_without(part.segment, missed), part.hypothesis)
            parts.append(extra)
            open_parts.append(extra)
    return sorted(parts, key=lambda part: part.segment.start + _first_stamp(part.hypothesis))


async def recognise_without_echo(
    engine: Recogniser,
    segment: Segment,
    audio: Callable[[int, int], Samples],
    unit: SpeechUnit,
) -> Hypothesis:
    """Recognise a unit. If its prompt and keywords seem to have spoilt the text, recognise it again without them.

    The text counts as spoilt if it repeats a phrase, or if ``asr.hallucinations`` rejects all of it, for example as an
    echo of the prompt. If the second run fails, for example because the engine is too busy, return the first result.

    ``segment``: the segment from which the unit was made.
    ``audio``: function that returns the samples [start, end) of the recording or stream.
    """
    hypothesis = await engine.submit(unit)
    hints = unit.options.hints
    if not hints:
        return hypothesis
    samples = audio(segment.start, segment.end)
    checked = hallucinations.checked(hypothesis, audio=samples, speech_s=segment.speech_s, hints=hints)
    if checked is not None and repetition(hypothesis.text) is None:
        return hypothesis
    unaided = replace(unit.options, prompt="", keywords=())
    try:
        again = await engine.submit(replace(unit, options=unaided, admitted=True))
    except InferenceError:  # whatever the reason, a doubtful text is better than none
        return hypothesis
    return replace(again, queued_ms=hypothesis.queued_ms + again.queued_ms, tries=hypothesis.tries + again.tries)


def missed_speech(part: Part, audio: Callable[[int, int], Samples]) -> list[Segment]:
    """Return the stretches of speech within the part that the model's timestamps do not cover.

    ``audio``: function that returns the samples [start, end) of the recording or stream.
    """
    if not part.text or part.hypothesis.text_end is None:
        return []
    slack = int(_STAMP_SLACK_S * SAMPLE_RATE)
    found: list[Segment] = []
    for start, end in _left_out(part):
        if end - start <= slack:
            continue
        if found and start - found[-1].end < _JOINED_PAUSE_S * SAMPLE_RATE:
            found[-1] = found[-1].joined(start, end)
            continue
        within = any(span_start < start for span_start, span_end in part.segment.spans if start < span_end)
        begin = start
        if within:
            earliest = start - slack // 2
            begin = earliest + quietest(audio(earliest, min(start + slack, end)))
        found.append(Segment.of(begin, end))
    return [segment for segment in found if segment.speech >= MIN_MISSED_S * SAMPLE_RATE]


def _left_out(part: Part) -> Iterator[tuple[int, int]]:
    """Yield the ranges of the part's speech, in samples, that none of its phrases cover."""
    segment = part.segment
    covered = [
        (segment.start + int(phrase.start * SAMPLE_RATE), segment.start + int(phrase.end * SAMPLE_RATE))
        for phrase in part.hypothesis.phrases
    ]
    for start, end in segment.spans or ((segment.start, segment.end),):
        position = start
        for from_, to in [*covered, (end, end)]:
            if from_ > position:
                yield position, min(from_, end)
            position = min(max(position, to), end)


def _without(segment: Segment, missed: Segment) -> Segment:
    """Return the segment without the speech that is in ``missed``.

    The segment keeps its start, because the times of its words are relative to the start.
    """
    spans = tuple(
        (start, min(end, missed.start) if start < missed.start else end)
        for start, end in segment.spans
        if not missed.start <= start < missed.end
    )
    return replace(segment, speech=max(0, segment.speech - missed.speech), spans=spans)


def _is_credible(hypothesis: Hypothesis) -> bool:
    """Return True if the text that the model recognised in a skipped stretch is likely to be right.

    The model may have skipped the stretch for a good reason, so an uncertain or repetitive text is not used.
    """
    if not hypothesis.text or hypothesis.no_speech_prob > NO_SPEECH_THRESHOLD:
        return False
    if hypothesis.avg_logprob < LOGPROB_THRESHOLD or hypothesis.compression_ratio > COMPRESSION_RATIO_THRESHOLD:
        return False
    return _LOOP.search(hypothesis.text.casefold()) is None


def _says_again(parts: list[Part], extra: Part) -> bool:
    """Return True if ``extra`` only repeats the end of the text before it.

    In that case, the model's timestamps were wrong, and no speech was skipped.
    """
    said = _letters(" ".join(part.text for part in parts if part.segment.start <= extra.segment.start))
    return _letters(extra.text) in said[-2 * len(_letters(extra.text)) - 10 :]


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _first_stamp(hypothesis: Hypothesis) -> int:
    return int(hypothesis.phrases[0].start * SAMPLE_RATE) if hypothesis.phrases else 0
