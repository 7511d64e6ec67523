"""Encoder outputs of different contexts in one batch, with Whisper base."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest

from asr.checkpoint import CONTEXTS_S, FULL_CONTEXT_S, MARGIN_S, Checkpoint
from asr.decoding import Decoded, Decoder
from asr.encoding import LONGEST_MIXED_CONTEXT_S, OUTPUT_FRAMES_PER_SECOND, Prepared, extended
from asr.units import Options, SpeechUnit
from asr.whisper_engine import BUSY_CALLERS, WhisperEngine
from tests import sound

MALAY = Options(language="ms")
#: Sentences that take between 2 and 8 seconds at this rate, so that their contexts differ.
SENTENCES = (
    "selamat pagi semua",
    "berapa harga nasi lemak ini",
    "saya mahu pergi ke kuala lumpur esok pagi dengan kereta api",
    "bayaran bulan ini dua ratus lima puluh ringgit dan mesti dibayar sebelum hari jumaat",
)


@pytest.fixture
async def base(whisper_base: Path) -> AsyncIterator[WhisperEngine]:
    checkpoint = Checkpoint(str(whisper_base), "whisper-base", contexts_s=CONTEXTS_S, margin_s=MARGIN_S)
    engine = WhisperEngine(checkpoint)
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
    assert np.array_equal(longer[350], output[-1])  # backwards first


@pytest.mark.parametrize("duration_s", [6.99, 7.0, 9.0])
def test_speech_up_to_the_end_repeats_only_the_last_frame(duration_s: float) -> None:
    output = np.random.default_rng(1).normal(size=(350, 4)).astype(np.float32)
    longer = extended(output, 8, duration_s)
    assert longer.shape == (400, 4)
    assert np.array_equal(longer[350:], np.repeat(output[-1:], 50, axis=0))


def test_an_output_that_is_long_enough_stays_as_it_is() -> None:
    output = np.ones((500, 4), np.float32)
    assert extended(output, 10, 3.0) is output


def test_only_units_that_mix_contexts_share_a_batch() -> None:
    unit = SpeechUnit(audio=np.zeros(16_000, np.float32), options=MALAY)
    units = {
        context_s: Prepared(unit=unit, features=np.zeros((80, 100), np.float32), context_s=context_s)
        for context_s in CONTEXTS_S
    }
    assert len({item.key for item in units.values()}) == len(CONTEXTS_S)
    mixed = {replace(units[context_s], mixes_contexts=True).key for context_s in (7, LONGEST_MIXED_CONTEXT_S)}
    assert len(mixed) == 1
    assert not mixed & {item.key for item in units.values()}


async def test_long_units_and_live_speech_keep_to_their_context(base: WhisperEngine) -> None:
    noted: list[Prepared] = []
    batcher = base._batcher
    assert batcher is not None
    key = batcher._key

    def noting(item: Prepared) -> object:
        noted.append(item)
        return key(item)

    batcher._key = noting
    lengths_s = {False: (2.0, 8.0, 9.5, 20.0), True: (2.0, 8.0)}
    units = [
        SpeechUnit(audio=sound.noise(length_s, 0.1), options=replace(MALAY, greedy=True), live=live)
        for live, lengths in lengths_s.items()
        for length_s in lengths * BUSY_CALLERS
    ]
    await asyncio.gather(*map(base.submit, units))
    assert {(item.live, item.context_s) for item in noted if item.mixes_contexts} == {(False, 7), (False, 10)}
    assert {(item.live, item.context_s) for item in noted if not item.mixes_contexts} >= {
        (False, 15),
        (False, 30),
        (True, 7),
        (True, 10),
    }


async def test_a_second_try_under_load_does_not_share_a_batch_with_short_units(
    base: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[Prepared]] = []
    decode = Decoder.decode

    def doubting(self: Decoder, batch: list[Prepared], beam_size: int) -> list[Decoded]:
        batches.append(batch)
        return [replace(one, is_doubtful=True) for one in decode(self, batch, beam_size)]

    monkeypatch.setattr(Decoder, "decode", doubting)
    clip = sound.said(SENTENCES[0], rate=140)
    crowd = [SpeechUnit(audio=clip, options=MALAY) for _ in range(2 * BUSY_CALLERS)]
    await asyncio.gather(*map(base.submit, crowd))
    again = [batch for batch in batches if any(item.is_second_try for item in batch)]
    assert sum(map(len, again)) == len(crowd)
    assert all(item.context_s == FULL_CONTEXT_S and not item.mixes_contexts for batch in again for item in batch)


async def test_a_batch_of_different_contexts_has_the_words_of_each_unit_alone(base: WhisperEngine) -> None:
    clips = [sound.said(sentence, rate=140) for sentence in SENTENCES]
    assert base.table is not None
    assert len({base.table.context_s(len(clip) / sound.RATE) for clip in clips}) > 1
    alone = [(await base.submit(SpeechUnit(audio=clip, options=MALAY))).text for clip in clips]
    before = base.stats()
    crowd = [SpeechUnit(audio=clip, options=MALAY) for clip in clips * BUSY_CALLERS]
    together = [result.text for result in await asyncio.gather(*map(base.submit, crowd))]
    batches = base.stats().batches - before.batches
    assert batches < len(crowd) / 2
    # The company in a batch may change some letters of eSpeak NG's unclear speech, but no text is lost.
    assert jiwer.cer(alone * BUSY_CALLERS, together) < 0.4
    assert all(together)
