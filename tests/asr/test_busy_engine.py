"""Streams while the engine is busy, slow, failing or idle."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace

import jiwer
import numpy as np
import pytest

from asr.batching import BUSY_CALLERS
from asr.endpointing import TurnDetection
from asr.streaming_events import Failed, Final, Partial, SpeechStopped
from asr.units import SAMPLE_RATE, Hypothesis, SpeechUnit
from asr.utterance import PARTIAL_BACKOFF, WAITED_MS
from asr.whisper_engine import WhisperEngine
from inference.engine import EngineStats
from inference.errors import DeadlineExceeded
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


CORES = 2
LOADED = EngineStats(True, 0, 0, 0, 0, 0, 0.0, estimated_wait_s=0.0, cores=CORES, workers=CORES)


@pytest.mark.parametrize(
    ("stats", "has_partials"),
    [
        (replace(LOADED, running=BUSY_CALLERS - 1), True),  # at most these units belong to three other live streams
        (replace(LOADED, running=BUSY_CALLERS), False),
        (replace(LOADED, running=BUSY_CALLERS - 1, queue_length=1), False),
        (replace(LOADED, running=BUSY_CALLERS, workers=16), True),
        (replace(LOADED, running=32, workers=16), False),
        (replace(LOADED, running=32, cores=0), True),
    ],
    ids=["three streams", "busy", "queue", "more workers", "all workers busy", "GPU"],
)
async def test_partials_give_way_to_other_work(engine: WhisperEngine, stats: EngineStats, has_partials: bool) -> None:
    listener = Listener()
    busy = BusyEngine(engine, stats=stats)
    stream = session(busy, listener, None)
    await speak(stream, sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), pause_s=0.03)
    await stream.commit()
    await stream.finish()
    assert bool(listener.of(Partial)) is has_partials
    assert len(listener.of(Final)) == 1


async def test_a_busy_engine_still_shows_long_speech(engine: WhisperEngine, monkeypatch) -> None:
    monkeypatch.setattr("asr.utterance.OVERDUE_S", 0.1)
    monkeypatch.setattr("asr.utterance.BUSY_OVERDUE_S", 1.0)
    listener = Listener()
    busy = BusyEngine(engine, stats=replace(LOADED, running=BUSY_CALLERS))
    requested: list[float] = []
    submit = busy.submit

    async def noting(unit):
        if unit.options.greedy:
            requested.append(time.monotonic())
        return await submit(unit)

    monkeypatch.setattr(busy, "submit", noting)
    stream = session(busy, listener, None)
    speech = np.tile(sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), 3)
    began = time.monotonic()
    await speak(stream, speech, pause_s=0.04)
    spoken_s = time.monotonic() - began
    await stream.commit()
    await stream.finish()
    assert listener.of(Partial)
    assert spoken_s / 2 - 1 <= len(requested) <= spoken_s
    assert min(later - earlier for earlier, later in itertools.pairwise([began, *requested])) > 0.95
    assert set(busy.live) == {True}  # with the priority of a final result


@pytest.mark.parametrize("wait_s", [0.0, 1.0], ids=["runs at once", "would wait"])
async def test_an_overdue_partial_has_priority_only_if_it_would_wait(
    engine: WhisperEngine, monkeypatch, wait_s: float
) -> None:
    monkeypatch.setattr("asr.utterance.OVERDUE_S", 0.0)  # every partial result is overdue
    busy = BusyEngine(engine, stats=replace(LOADED, running=BUSY_CALLERS - 1, estimated_wait_s=wait_s))
    priorities: set[tuple[bool, bool]] = set()
    submit = busy.submit

    async def noting(unit):
        if unit.options.greedy:
            priorities.add((unit.live, unit.admitted))
        return await submit(unit)

    monkeypatch.setattr(busy, "submit", noting)
    stream = session(busy, Listener(), None)
    await speak(stream, sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), pause_s=0.03)
    await stream.finish()
    assert priorities == {(wait_s > 0, wait_s > 0)}


async def test_an_expired_partial_does_not_delay_the_next_one(engine: WhisperEngine, monkeypatch) -> None:
    """Only the pause between two partial results follows it, because the user has still seen none for too long."""
    monkeypatch.setattr("asr.utterance.BUSY_OVERDUE_S", 1.0)
    monkeypatch.setattr("asr.utterance.MAX_BUSY_PARTIAL_BACKOFF_S", 0.3)
    busy = BusyEngine(engine, stats=replace(LOADED, running=BUSY_CALLERS))
    requested: list[float] = []
    submit = busy.submit

    async def expiring(unit):
        if not unit.options.greedy:
            return await submit(unit)
        requested.append(time.monotonic())
        raise DeadlineExceeded(1.0)

    monkeypatch.setattr(busy, "submit", expiring)
    stream = session(busy, Listener(), None)
    speech = np.tile(sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), 3)
    await speak(stream, speech, pause_s=0.04)
    await stream.finish()
    gaps = [later - earlier for earlier, later in itertools.pairwise(requested)]
    assert 0.29 < min(gaps) < 0.8


async def test_a_cancelled_partial_does_not_hide_the_next_one(engine: WhisperEngine) -> None:
    stream = session(engine, Listener(), None, partials=False)
    speech = sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok")
    await speak(stream, speech[: 3 * SAMPLE_RATE // 2])  # the speaker goes on
    utterance = stream._utterance
    assert utterance is not None
    utterance.start_partial()
    first = utterance._partial
    assert first is not None
    await asyncio.sleep(0)  # it waits for the engine
    utterance._cancel_partial()
    utterance._partial_position = utterance.start
    utterance.start_partial()
    latest = utterance._partial
    assert latest is not None
    await asyncio.wait([first])
    assert first.cancelled()
    assert utterance._partial is latest
    await stream.abort()
    await asyncio.gather(latest, return_exceptions=True)
    assert latest.cancelled()


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


@pytest.mark.parametrize(
    ("queued_ms", "backoff"), [(0.0, PARTIAL_BACKOFF), (2 * WAITED_MS, 4.0)], ids=["slow", "waited"]
)
async def test_slow_partials_become_less_frequent(
    engine: WhisperEngine, monkeypatch, queued_ms: float, backoff: float
) -> None:
    monkeypatch.setattr("asr.utterance.BUSY_PARTIAL_BACKOFF", 4.0)  # so that the test need not speak for long
    submitted = engine.submit
    listener = Listener()
    ran: list[tuple[float, float, bool]] = []  # start and end of each partial result, and whether text was shown before

    async def slow(unit):
        if not unit.options.greedy:
            return await submitted(unit)
        began = time.monotonic()
        await asyncio.sleep(0.1)
        found = replace(await submitted(unit), queued_ms=queued_ms)
        ran.append((began, time.monotonic(), bool(listener.of(Partial))))
        return found

    monkeypatch.setattr(engine, "submit", slow)
    stream = session(engine, listener, None)
    speech = np.tile(sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), 3)
    await speak(stream, speech, pause_s=0.02)  # five times as fast as real time, so partial results are always due
    await stream.commit()
    await stream.finish()
    # An idle engine does not pause before the first words.
    rests = [
        (following - end) / (end - began)
        for (began, end, has_shown), (following, _end, _shown) in itertools.pairwise(ran)
        if has_shown or queued_ms
    ]
    assert len(rests) >= 2
    assert min(rests) > 0.95 * backoff


async def test_partial_results_are_rarer_under_load(engine: WhisperEngine, monkeypatch) -> None:
    """Under load, the longest allowed pause between two partial results is longer than on an idle engine."""
    monkeypatch.setattr("asr.utterance.MAX_PARTIAL_BACKOFF_S", 0.0)
    monkeypatch.setattr("asr.utterance.MAX_BUSY_PARTIAL_BACKOFF_S", 60.0)
    monkeypatch.setattr("asr.utterance.BUSY_PARTIAL_BACKOFF", 1e6)
    submitted = engine.submit
    speech = sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok")
    guesses: list[int] = []
    for queued_ms, running in ((0.0, CORES - 1), (2 * WAITED_MS, CORES - 1), (0.0, CORES)):
        busy = BusyEngine(engine, stats=replace(LOADED, running=running))
        guesses.append(0)

        async def noting(unit, queued_ms=queued_ms):
            guesses[-1] += unit.options.greedy
            return replace(await submitted(unit), queued_ms=queued_ms)

        monkeypatch.setattr(busy, "submit", noting)
        stream = session(busy, Listener(), None)
        await speak(stream, speech, pause_s=0.03)
        await stream.commit()
        await stream.finish()
    idle, waited, competed = guesses
    assert idle > 2 and waited == competed == 1


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


async def test_a_failing_engine_is_not_asked_for_each_partial(
    engine: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def fail(unit: SpeechUnit) -> Hypothesis:
        if unit.options.greedy:
            asked.append(time.monotonic())
            raise RuntimeError("no partial today")
        return await WhisperEngine.submit(engine, unit)

    busy = BusyEngine(engine, stats=LOADED)
    monkeypatch.setattr(busy, "submit", fail)
    listener = Listener()
    stream = session(busy, listener, None)
    await speak(stream, sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), pause_s=0.03)
    await stream.commit()
    await stream.finish()
    assert len(asked) == 1  # the speech arrives within the pause of four seconds
    assert len(listener.of(Final)) == 1
