"""The Kokoro engine: a sentence is retried if a worker dies, and eSpeak NG speaks if the model does not load."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gateway.lifecycle import Lifecycle
from inference import thread_priority
from inference.errors import EngineUnavailable
from tts.brownout import Reason
from tts.kokoro import SAMPLE_RATE, KokoroModel
from tts.kokoro_engine import NAME, KokoroEngine
from tts.kokoro_voices import kokoro_voices
from tts.synthesis import Synthesis, sentences_of
from tts.units import SpeechUnit

VOICES = {voice.id: voice for voice in kokoro_voices(None)}


class Model:
    """A model that speaks for a tenth of a second. Its first ``failures`` calls fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0
        self.speeds: list[float] = []

    def speak(self, ipa: str, pack: object, speed: float = 1.0) -> np.ndarray:
        if len(ipa) > 15:  # not for the warm-up
            self.calls += 1
            self.speeds.append(round(speed, 4))
            if self.calls <= self.failures:
                raise RuntimeError("the worker died")
        return np.full(SAMPLE_RATE // 10, 0.1, np.float32)


def unit(text: str = "Selamat pagi semua orang.", **fields: Any) -> SpeechUnit:
    return SpeechUnit(text=text, voice=VOICES["aisyah"], **fields)


async def test_a_sentence_is_retried_if_the_worker_dies() -> None:
    model = Model(failures=1)
    engine = KokoroEngine(Path(), load=lambda *_args, **_options: model)
    await engine.load()
    spoken = await asyncio.gather(*(engine.submit(unit()) for _ in range(4)))
    await engine.close()
    assert [len(speech.audio) for speech in spoken] == [SAMPLE_RATE // 10] * 4
    assert model.calls == 5


async def test_the_voices_pace_is_multiplied_by_the_requested_speed() -> None:
    model = Model(failures=0)
    engine = KokoroEngine(Path(), load=lambda *_args, **_options: model)
    await engine.load()
    slow = replace(VOICES["aisyah"], parameters={"pack": "aisyah", "pace": 90})
    for speed in (1.0, 1.2, 0.5):
        speech = await engine.submit(replace(unit(speed=speed), voice=slow))
    await engine.close()
    assert model.speeds == [0.9, 1.08, 0.7]
    assert speech.tempo == pytest.approx(0.45 / 0.7)  # the part of the speed that the model cannot reach


async def test_a_sentence_that_always_fails_raises_an_error() -> None:
    engine = KokoroEngine(Path(), load=lambda *_args, **_options: Model(failures=99))
    await engine.load()
    with pytest.raises(EngineUnavailable, match="RuntimeError"):
        await engine.submit(unit())
    await engine.close()


async def test_espeak_speaks_if_the_model_is_not_installed(offered: Any, espeak: None) -> None:
    engine = offered(KokoroEngine(Path("nowhere")))
    with pytest.raises(EngineUnavailable, match="not installed"):
        await engine.load()
    speech = Synthesis(sentences_of("Selamat pagi. Apa khabar?", "ms"), VOICES["hafiz"])
    chunks = [chunk async for chunk in speech.chunks()]
    assert len(chunks) == 2
    assert speech.voice.degraded is Reason.FAILED


async def test_with_a_fallback_the_service_is_ready_although_a_model_does_not_load(
    offered: Any, api: httpx.AsyncClient, stranger: httpx.AsyncClient, espeak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_args: object, **_options: object) -> KokoroModel:
        raise EngineUnavailable("model.onnx does not load: no memory")

    offered(KokoroEngine(Path(), load=load))
    life = Lifecycle()
    await life._load_one(NAME)
    assert life.failures == {}
    monkeypatch.setattr("tts.voices.default_voice", lambda: VOICES["aisyah"])
    ready = await stranger.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["models"]) == (200, "ok")
    assert any("did not load" in notice for notice in ready.json()["notices"])
    assert "did not load" in (await api.get("/v1/models/kokoro-82m")).json()["notice"]
    answer = await api.post("/v1/audio/speech", json={"model": "kokoro-82m", "input": "Selamat pagi."})
    assert (answer.status_code, answer.headers["X-Voice-Degraded"]) == (200, "failed")


@pytest.fixture(scope="module")
async def engine(kokoro: Path) -> AsyncIterator[KokoroEngine]:
    engine = KokoroEngine(kokoro)
    await engine.load()
    yield engine
    await engine.close()


async def test_it_speaks(engine: KokoroEngine) -> None:
    speech = await engine.submit(unit())
    assert speech.sample_rate == SAMPLE_RATE
    assert 1.0 < len(speech.audio) / SAMPLE_RATE < 3.0
    assert 0.05 < np.abs(speech.audio).max() < 1.5
    fast = await engine.submit(unit(speed=4.0))
    assert len(fast.audio) < len(speech.audio)
    assert fast.tempo == pytest.approx(4.0 / 1.4)


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
async def test_its_threads_have_a_lower_priority_than_the_recognisers(kokoro: Path) -> None:
    engine = KokoroEngine(kokoro, workers=1)
    await engine.load()
    await engine.submit(unit())
    threads = [int(thread.name) for thread in os.scandir("/proc/self/task")]
    assert thread_priority.NICE < thread_priority.VERY_NICE
    workers = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("kokoro-")]
    nice = {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
    assert {nice[thread] for thread in workers if thread in nice} == {thread_priority.VERY_NICE}
    assert thread_priority.VERY_NICE in {nice[thread] for thread in set(threads) - set(workers)}  # onnxruntime's
    await engine.close()


async def test_a_voice_speaks_other_languages_and_empty_text(engine: KokoroEngine) -> None:
    for text in ("Jangan lupa check email sebelum meeting pukul tiga.", "小明", "x" * 40):
        assert len((await engine.submit(unit(text))).audio) > SAMPLE_RATE // 4
    assert len((await engine.submit(unit("…"))).audio) == SAMPLE_RATE // 5


def test_the_model_is_loaded(kokoro: Path) -> None:
    from tts import kokoro as module

    assert isinstance(module.load(kokoro), KokoroModel)
