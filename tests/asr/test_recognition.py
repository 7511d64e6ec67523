"""Speech that the model left out is recognised in a second run, and no speech is recognised twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import pytest

from asr.recognition import MAX_EXTRA_RUNS, Recogniser, recognise
from asr.transcript import Part, join
from asr.units import SAMPLE_RATE, Hypothesis, Options, Phrase, Samples, SpeechUnit
from asr.voice_activity import Segment
from inference.errors import OverCapacity

NOISE = np.random.default_rng(1).standard_normal(60 * SAMPLE_RATE).astype(np.float32)


def said(*phrases: tuple[str, float, float], closed: bool = True) -> Hypothesis:
    timed = tuple(Phrase(text, start, end, (1,)) for text, start, end in phrases)
    return Hypothesis(
        text=" ".join(phrase.text for phrase in timed),
        language="ms",
        language_probability=1.0,
        phrases=timed,
        words=(),
        avg_logprob=-0.3,
        compression_ratio=1.0,
        no_speech_prob=0.0,
        temperature=0.0,
        text_end=timed[-1].end if timed and closed else None,
    )


@dataclass
class Script:
    """An engine whose answers depend only on the length of a unit, because a real model cannot be controlled like this.

    ``answer``: returns the hypothesis for a unit of this many seconds.
    ``asked``: the submitted units.
    """

    answer: Callable[[float], Hypothesis]
    asked: list[SpeechUnit] = field(default_factory=list)

    async def submit(self, unit: SpeechUnit) -> Hypothesis:
        self.asked.append(unit)
        return self.answer(unit.duration_s)


def audio(start: int, end: int) -> Samples:
    return NOISE[start:end]


def segment(*spans: tuple[float, float]) -> Segment:
    made: Segment | None = None
    for start, end in spans:
        at = (int(start * SAMPLE_RATE), int(end * SAMPLE_RATE))
        made = made.joined(*at) if made else Segment.of(*at)
    assert made is not None
    return made


async def run(script: Script, whole: Segment, options: Options | None = None) -> list[Part]:
    options = options or Options()
    unit = SpeechUnit(audio=audio(whole.start, whole.end), options=options, deadline=5.0)
    return await recognise(cast("Recogniser", script), whole, options, audio, unit)


async def test_it_works() -> None:
    script = Script(lambda seconds: said(("apa khabar", 0.0, seconds)))
    assert [part.text for part in await run(script, segment((3, 7)))] == ["apa khabar"]
    assert len(script.asked) == 1


@pytest.mark.parametrize("spans", [[(0, 6), (6.1, 10)], [(0, 10)], [(0, 2), (2.2, 6), (6.3, 8), (8.1, 10)]])
async def test_a_missed_end_is_recognised(spans: list[tuple[float, float]]) -> None:
    first = said(("saya tak suka mandi", 0.0, 6.0))
    script = Script(lambda seconds: first if seconds > 9 else said(("please help me", 0.0, seconds)))
    parts = await run(script, segment(*spans))
    assert parts[0].text == "saya tak suka mandi"
    assert [part.text for part in parts[1:]] == ["please help me"]
    assert parts[1].segment.start == pytest.approx(6.1 * SAMPLE_RATE, abs=0.25 * SAMPLE_RATE)
    assert parts[-1].segment.end == 10 * SAMPLE_RATE
    assert all(unit.admitted and unit.deadline == 5.0 for unit in script.asked[1:])


async def test_a_missed_middle_is_recognised_in_its_place() -> None:
    first = said(("satu", 0.0, 2.0), ("tiga", 6.0, 9.0))
    script = Script(lambda seconds: first if seconds > 8 else said(("dua", 0.0, seconds)))
    parts = await run(script, segment((0, 2), (2.2, 5.8), (6, 9)))
    assert sorted(join(part.text for part in parts).split()) == ["dua", "satu", "tiga"]
    assert [script.asked[1].duration_s] == [pytest.approx(3.6, abs=0.4)]


@pytest.mark.parametrize(
    "hypothesis",
    [said(("semua", 0.0, 9.2)), said(("semua", 0.0, 6.0), closed=False), said(), replace(said(("x", 0, 1)), text="")],
    ids=["nearly to the end", "without an end", "nothing", "no text"],
)
async def test_without_evidence_of_missed_speech_nothing_runs_again(hypothesis: Hypothesis) -> None:
    script = Script(lambda _: hypothesis)
    await run(script, segment((0, 10)))
    assert len(script.asked) == 1


async def test_pauses_are_not_missed_speech() -> None:
    script = Script(lambda _: said(("satu", 0.0, 2.0)))
    await run(script, segment((0, 2.1), (9.5, 10)))
    assert len(script.asked) == 1


async def test_wrong_timestamps_duplicate_no_words() -> None:
    first = said(("saya mahu berhenti melanggan", 0.0, 4.0))
    script = Script(lambda seconds: first if seconds > 9 else said(("Berhenti melanggan.", 0.0, seconds)))
    assert [part.text for part in await run(script, segment((0, 10)))] == ["saya mahu berhenti melanggan"]


@pytest.mark.parametrize("text", ["Maybank", "", "Petronas, Maybank.", "selamat" + 5 * " hapehama"])
async def test_hints_that_replaced_words_are_omitted_in_the_retry(text: str) -> None:
    hinted = replace(said((text, 0.0, 3.0)), no_speech_prob=0.5)
    script = Script(lambda _: hinted if len(script.asked) == 1 else said(("saya mahu ke bank", 0.0, 3.0)))
    options = Options(language="ms", keywords=("Maybank", "Petronas"), prompt="Tentang bank.")
    parts = await run(script, segment((0, 3)), options)
    assert [part.text for part in parts] == ["saya mahu ke bank"]
    assert [unit.options.hints for unit in script.asked] == [options.hints, ""]
    assert script.asked[1].options.language == "ms"
    assert script.asked[1].admitted


async def test_a_refused_retry_keeps_the_first_result() -> None:
    def answer(_: float) -> Hypothesis:
        if len(script.asked) == 1:
            return replace(said(("Maybank", 0.0, 3.0)), no_speech_prob=0.5)
        raise OverCapacity(1.0)

    script = Script(answer)
    parts = await run(script, segment((0, 3)), Options(language="ms", keywords=("Maybank",)))
    assert [part.text for part in parts] == ["Maybank"]


async def test_hints_that_were_said_need_no_retry() -> None:
    script = Script(lambda _: said(("sila hubungi Maybank", 0.0, 3.0)))
    await run(script, segment((0, 3)), Options(language="ms", keywords=("Maybank",)))
    assert len(script.asked) == 1


async def test_extra_runs_are_bounded() -> None:
    script = Script(lambda seconds: said((f"kata {seconds}", 0.0, 1.0)))
    await run(script, segment((0, 28)))
    assert len(script.asked) == 1 + MAX_EXTRA_RUNS
