"""Under load, short units with different context lengths share batches, and keep their words (with Whisper base)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from django.test import override_settings
from pytest_django import Settings

from asr.batched_model import BatchedModel
from asr.batching import BUSY_CALLERS, LONGEST_MIXED_CONTEXT_S
from asr.checkpoint import CONTEXTS_S, FULL_CONTEXT_S, MARGIN_S, Checkpoint
from asr.decoding import Decoded
from asr.encoding import OUTPUT_FRAMES_PER_SECOND, Prepared, extended
from asr.requests import Dialogue
from asr.tuning import by_rule
from asr.units import Hypothesis, Options, SpeechUnit
from asr.whisper_engine import WhisperEngine
from tests import sound

Recognise = Callable[[Prepared], Dialogue[Decoded]]

ENGLISH = Options(language="en")
PLAIN = replace(ENGLISH, temperatures=(0.0,))  # so that noise is not decoded again
PARTIAL: dict[str, Any] = {"greedy": True, "timestamps": False, "temperatures": (0.0,)}
#: Sentences that take between 2 and 8 seconds, so that their contexts differ. In English, Whisper base understands
#: eSpeak NG so well that the words hardly depend on the processor.
SENTENCES = (
    "good morning everyone",
    "please help me to change my password today",
    "I want to go to the market tomorrow morning to buy fish and vegetables",
    "we have to pay the electricity bill before next friday or they will cut the power in the whole house again",
)


@pytest.fixture(scope="module")
async def base(whisper_base: Path) -> AsyncIterator[WhisperEngine]:
    checkpoint = Checkpoint(str(whisper_base), "whisper-base", contexts_s=CONTEXTS_S, margin_s=MARGIN_S)
    engine = WhisperEngine(checkpoint, replace(by_rule(checkpoint, "cpu"), workers=2, threads=1))
    with override_settings(VOICE_ASR_NATIVE="off"):  # the native decoder needs no batches
        await engine.load()
    yield engine
    await engine.close()


def test_the_speech_stays_and_only_silence_is_repeated() -> None:
    output = np.arange(350 * 4, dtype=np.float32).reshape(350, 4)
    longer = extended(output, 10, 5.0)
    assert longer.shape == (10 * OUTPUT_FRAMES_PER_SECOND, 4)
    assert np.array_equal(longer[:350], output)
    silence = {tuple(frame) for frame in output[250:]}
    assert {tuple(frame) for frame in longer[350:]} <= silence
    assert np.array_equal(longer[350], output[-1])  # the silence is repeated backwards first


@pytest.mark.parametrize("duration_s", [6.99, 7.0, 9.0])
def test_speech_up_to_the_end_repeats_only_the_last_frame(duration_s: float) -> None:
    output = np.random.default_rng(1).normal(size=(350, 4)).astype(np.float32)
    longer = extended(output, 8, duration_s)
    assert longer.shape == (400, 4)
    assert np.array_equal(longer[350:], np.repeat(output[-1:], 50, axis=0))


def test_an_output_that_is_long_enough_stays_as_it_is() -> None:
    output = np.ones((500, 4), np.float32)
    assert extended(output, 10, 3.0) is output


async def batches_of(
    engine: WhisperEngine, monkeypatch: pytest.MonkeyPatch, units: list[SpeechUnit]
) -> list[list[Prepared]]:
    """Submit the units while all workers are busy, and return the batches that the workers then take."""
    batches: list[list[Prepared]] = []
    everything_waits = threading.Event()
    run = BatchedModel.run

    def noting(self: BatchedModel, batch: list[Prepared], recognise: Recognise) -> list[Decoded]:
        batches.append(batch)
        assert everything_waits.wait(30)
        return run(self, batch, recognise)

    async def submit(unit: SpeechUnit) -> asyncio.Task[Hypothesis]:
        before = engine.stats().queue_length + engine.stats().running
        task = asyncio.create_task(engine.submit(unit))
        async with asyncio.timeout(30):
            while engine.stats().queue_length + engine.stats().running == before:
                await asyncio.sleep(0.01)
        return task

    monkeypatch.setattr(BatchedModel, "run", noting)
    tasks = []
    while not engine.stats().queue_length:
        tasks.append(await submit(replace(noise(2.0), admitted=True)))
        await asyncio.sleep(0.2)  # a free worker takes the unit
    workers = len(batches)
    tasks += [await submit(unit) for unit in units]
    everything_waits.set()
    await asyncio.gather(*tasks)
    return batches[workers:]


def noise(length_s: float) -> SpeechUnit:
    return SpeechUnit(audio=sound.noise(length_s, 0.1), options=PLAIN)


def contexts(batch: list[Prepared]) -> set[int]:
    return {item.context_s for item in batch}


async def test_under_load_all_short_units_share_batches(base: WhisperEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [noise(length_s) for length_s in BUSY_CALLERS * (2.0, 8.0, 13.0, 20.0)]
    partials = [replace(noise(length_s), options=replace(ENGLISH, **PARTIAL)) for length_s in (3.0, 9.5)]
    finals = [replace(noise(length_s), live=True, admitted=True) for length_s in (6.0, 19.0)]
    batches = await batches_of(base, monkeypatch, [*files, *partials, *finals])
    mixed = [batch for batch in batches if len(contexts(batch)) > 1]
    assert any({item.live for item in batch} == {False, True} for batch in mixed)
    assert any({item.unit.options.greedy for item in batch} == {False, True} for batch in mixed)
    assert {context_s for batch in mixed for context_s in contexts(batch)} <= set(range(LONGEST_MIXED_CONTEXT_S + 1))
    assert base.table is not None
    assert all(len(batch) <= base.table.limit(max(contexts(batch))) for batch in mixed)
    long = [batch for batch in batches if max(contexts(batch)) > LONGEST_MIXED_CONTEXT_S]
    assert sum(map(len, long)) == 5 and all(len(contexts(batch)) == 1 for batch in long)


@pytest.mark.parametrize("why", ["the callers are segments of one recording", "both beams are equal"])
async def test_otherwise_a_batch_has_one_context(
    base: WhisperEngine, monkeypatch: pytest.MonkeyPatch, settings: Settings, why: str
) -> None:
    is_admitted = why != "both beams are equal"
    if not is_admitted:
        settings.VOICE_ASR_BUSY_BEAM = settings.VOICE_ASR_BEAM
    units = [replace(noise(length_s), admitted=is_admitted) for length_s in BUSY_CALLERS * (2.0, 8.0)]
    batches = await batches_of(base, monkeypatch, units)
    assert len(batches) < len(units)
    assert all(len(contexts(batch)) == 1 for batch in batches)


async def test_partial_and_final_results_of_one_batch_have_their_own_words(base: WhisperEngine) -> None:
    short, longer = (sound.said(sentence, "en", rate=140) for sentence in (SENTENCES[2], SENTENCES[3]))
    partial = base._prepare(SpeechUnit(audio=short, options=replace(ENGLISH, **PARTIAL)))
    final = base._prepare(SpeechUnit(audio=longer, options=replace(ENGLISH, words=True, logprobs=True)))
    # In a shared batch, a partial result is decoded as a final one, so it is compared with a final one.
    alone = [base._run([item])[0].hypothesis for item in (base._prepare(replace(partial.unit, options=ENGLISH)), final)]
    together = [decoded.hypothesis for decoded in base._run([partial, final])]
    for one, other, sentence in zip(alone, together, (SENTENCES[2], SENTENCES[3]), strict=True):
        assert jiwer.cer(one.text, other.text) < 0.2
        assert jiwer.cer(sentence.lower(), other.text.lower()) < 0.2
    assert (together[0].words, together[0].tokens) == ((), ())
    assert " ".join(word.text for word in together[1].words) == together[1].text
    assert together[1].tokens
    times = [time for word in together[1].words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert len(longer) / sound.RATE - 1.5 < times[-1] <= len(longer) / sound.RATE
    expected = [word.start for word in alone[1].words]
    if together[1].text == alone[1].text:
        assert [word.start for word in together[1].words] == pytest.approx(expected, abs=0.3)


async def test_a_second_try_under_load_does_not_share_a_batch_with_short_units(
    base: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[Prepared]] = []
    run = BatchedModel.run

    def doubting(self: BatchedModel, batch: list[Prepared], recognise: Recognise) -> list[Decoded]:
        batches.append(batch)
        decoded: list[Decoded] = run(self, batch, recognise)
        return [replace(one, is_doubtful=True) for one in decoded]

    monkeypatch.setattr(BatchedModel, "run", doubting)
    clip = sound.said(SENTENCES[0], "en", rate=140)
    crowd = [SpeechUnit(audio=clip, options=ENGLISH) for _ in range(2 * BUSY_CALLERS)]
    await asyncio.gather(*map(base.submit, crowd))
    again = [batch for batch in batches if any(item.is_second_try for item in batch)]
    assert sum(map(len, again)) == len(crowd)
    assert all(contexts(batch) == {FULL_CONTEXT_S} for batch in again)


async def test_a_batch_of_different_contexts_has_the_words_of_each_unit_alone(base: WhisperEngine) -> None:
    clips = [sound.said(sentence, "en", rate=140) for sentence in SENTENCES]
    assert base.table is not None
    assert len({base.table.context_s(len(clip) / sound.RATE) for clip in clips}) > 1
    alone = [(await base.submit(SpeechUnit(audio=clip, options=ENGLISH))).text for clip in clips]
    before = base.stats()
    crowd = [SpeechUnit(audio=clip, options=ENGLISH) for clip in clips * BUSY_CALLERS]
    together = [result.text for result in await asyncio.gather(*map(base.submit, crowd))]
    batches = base.stats().batches - before.batches
    assert batches < len(crowd) / 2
    # The other units of a batch may change some letters, but no text is lost.
    assert jiwer.cer(alone * BUSY_CALLERS, together) < 0.2
    assert all(together)
