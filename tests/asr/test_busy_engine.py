"""Streams while the engine is busy, slow, failing or idle."""

from __future__ import annotations

import asyncio
import time

import jiwer
import numpy as np

from asr.endpointing import TurnDetection
from asr.streaming_events import Failed, Final, Partial, SpeechStopped
from asr.units import SAMPLE_RATE
from asr.utterance import PARTIAL_BACKOFF
from asr.whisper_engine import WhisperEngine
from inference.engine import EngineStats
from tests import sound
from tests.asr.streams import TALK, BusyEngine, Listener, session, speak


async def test_no_partials_are_requested_from_a_busy_engine(engine: WhisperEngine) -> None:
    listener = Listener()
    busy = BusyEngine(engine)
    stream = session(busy, listener)
    await speak(stream, TALK, pause_s=0.01)
    await stream.finish()
    assert listener.of(Partial) == []
    assert len(listener.of(Final)) == 2
    assert set(busy.live) == {True}


async def test_partials_continue_although_the_engine_is_never_idle(engine: WhisperEngine) -> None:
    listener = Listener()
    busy = BusyEngine(engine)
    stream = session(busy, listener)
    long = sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok untuk membeli ikan dan sayur")
    await speak(stream, np.tile(long, 2), pause_s=0.1)  # in real time
    await stream.finish()
    seconds = 2 * len(long) / SAMPLE_RATE
    assert len(listener.of(Partial)) >= seconds / 4


async def test_the_last_words_are_recognised_during_the_pause(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener, TurnDetection(silence_duration_ms=600), partials=False)
    units: list[object] = []

    class Noting:
        async def submit(self, unit):
            units.append(listener.of(SpeechStopped))
            return await engine.submit(unit)

        def stats(self) -> EngineStats:
            return engine.stats()

    stream._engine = Noting()  # type: ignore[assignment]
    await speak(stream, sound.joined([sound.said("selamat pagi semua"), sound.silence(1)]), pause_s=0.1)
    await stream.finish()
    assert units == [[]]  # recognised once, before speech_stopped
    assert jiwer.wer("selamat pagi semua", listener.text) <= 0.4


async def test_a_stream_that_waits_for_finals_is_not_idle(engine: WhisperEngine) -> None:
    stream = session(engine, Listener(), None)
    assert not stream.is_working
    await stream.append(sound.said("selamat pagi"))
    await stream.commit()
    assert stream.is_working
    await stream.finish()
    assert not stream.is_working


async def test_slow_partials_become_less_frequent(engine: WhisperEngine, monkeypatch) -> None:
    slow_s = 0.1
    submitted = engine.submit
    guesses = 0

    async def slow(unit):
        nonlocal guesses
        if not unit.live:
            guesses += 1
            await asyncio.sleep(slow_s)
        return await submitted(unit)

    monkeypatch.setattr(engine, "submit", slow)
    stream = session(engine, Listener())
    began = time.monotonic()
    await speak(stream, np.tile(sound.said("selamat pagi semua"), 4), pause_s=0.01)
    took = time.monotonic() - began
    await stream.finish()
    assert (
        1 <= guesses <= took / (slow_s * (1 + PARTIAL_BACKOFF)) + 4
    )  # at most four utterances, each with a first partial


async def test_a_failure_affects_only_its_utterance(engine: WhisperEngine) -> None:
    listener = Listener()
    busy = BusyEngine(engine, refuse=True)
    stream = session(busy, listener, None)
    await speak(stream, sound.said("selamat pagi"))
    await stream.commit()
    await asyncio.sleep(0.05)
    busy.refuse = False
    await speak(stream, sound.said("selamat pagi"))
    await stream.finish()
    assert [type(event) for event in listener.of(Failed) + listener.of(Final)] == [Failed, Final]
