from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from inference import runtime
from inference.engine import EngineStats
from tts import synthesis
from tts.encoding import SAMPLE_RATE, Samples
from tts.synthesis import (
    LOOK_AHEAD,
    PARAGRAPH_PAUSE_MS,
    SENTENCE_PAUSE_MS,
    Sentence,
    Synthesis,
    sentences_of,
)
from tts.units import Speech, SpeechUnit
from tts.voices import Voice, catalogue

VOICE = catalogue().all()[0]
FIVE = "Hari ini hujan. Saya di rumah. Ibu memasak nasi. Adik membaca buku. Ayah belum pulang."


def voice(name: str) -> Voice:
    return next(one for one in catalogue().all() if one.id == name)


async def spoken(text: str, by: Voice = VOICE, speed: float = 1.0) -> tuple[Samples, Synthesis]:
    speech = Synthesis(sentences_of(text, "ms"), by, speed=speed)
    return np.concatenate([samples async for samples in speech.chunks()]), speech


def test_sentences_and_the_pauses_before_them() -> None:
    sentences = sentences_of("Hari ini hujan. Betul?\n\nYa.", "ms")
    assert [sentence.pause_ms for sentence in sentences] == [0, SENTENCE_PAUSE_MS, PARAGRAPH_PAUSE_MS]


def test_unspeakable_sentences_are_left_out_with_their_pause() -> None:
    sentences = sentences_of("😀\n\nSelamat pagi.\n\n🎉🎉\n\n", "ms")
    assert len(sentences) == 1
    assert sentences[0].text.startswith("Selamat pagi")
    assert sentences_of("😀 🎉", "ms") == []


async def test_it_speaks_sentence_by_sentence(espeak: None) -> None:
    speech = Synthesis(sentences_of(FIVE, "ms"), VOICE)
    chunks = [samples async for samples in speech.chunks()]
    assert len(chunks) == 5
    assert all(chunk.dtype == np.int16 and len(chunk) > SAMPLE_RATE / 2 for chunk in chunks)
    assert speech.audio_ms == pytest.approx(sum(map(len, chunks)) / 24, abs=1)
    assert not chunks[1][: int(0.2 * SAMPLE_RATE)].any()  # the pause between the sentences
    assert np.abs(chunks[0][: int(0.1 * SAMPLE_RATE)]).max() > 500  # no silence before the first word


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 3.0, 4.0])
async def test_speed(espeak: None, speed: float) -> None:
    normal, _ = await spoken(FIVE)
    changed, _ = await spoken(FIVE, speed=speed)
    assert len(normal) / len(changed) == pytest.approx(speed, rel=0.08)


async def test_simultaneous_voices_keep_their_own_words(espeak: None) -> None:
    voices = [voice(name) for name in ("ms", "ms+f2", "ms+m8", "en-us", "ta")]
    alone = [len((await spoken(FIVE, by))[0]) for by in voices]
    together = await asyncio.gather(*(spoken(FIVE, by) for by in voices * 6))
    for index, (samples, _) in enumerate(together):
        assert len(samples) == pytest.approx(alone[index % len(voices)], rel=0.005)
    assert len(set(alone)) == len(voices)


class SlowEngine:
    """An engine that takes ``seconds`` for each sentence. The text of a unit is how many thousand samples it returns.

    ``asked``: the texts of all units.
    ``dropped``: the texts of units that were cancelled.
    ``most``: the highest number of sentences in progress at once.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.asked: list[str] = []
        self.dropped: list[str] = []
        self.running = self.most = 0

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def submit(self, unit: SpeechUnit) -> Speech:
        self.asked.append(unit.text)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.dropped.append(unit.text)
            raise
        finally:
            self.running -= 1
        return Speech(np.full(int(unit.text) * 1000, 0.1, np.float32), SAMPLE_RATE)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Speech]:
        raise NotImplementedError

    def stats(self) -> EngineStats:
        raise NotImplementedError


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowEngine:
    engine = SlowEngine(0.05)
    monkeypatch.setattr(runtime, "engine", lambda name: engine)
    return engine


def numbered(count: int) -> list[Sentence]:
    return [Sentence(str(number), 0) for number in range(1, count + 1)]


async def test_order_is_kept_and_look_ahead_is_bounded(slow: SlowEngine) -> None:
    lengths = [len(samples) async for samples in Synthesis(numbered(30), VOICE).chunks()]
    assert lengths == [1000 * number for number in range(1, 31)]
    assert slow.asked[0] == "1"
    assert 1 < slow.most <= LOOK_AHEAD


async def test_first_sentence_does_not_wait_for_the_others(slow: SlowEngine) -> None:
    chunks = Synthesis(numbered(30), VOICE).chunks()
    await anext(chunks)
    assert len(slow.asked) <= LOOK_AHEAD
    await chunks.aclose()


async def test_a_long_text_does_not_delay_first_sentences_of_others(
    slow: SlowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_finish = threading.Event()

    def finish(speech: Speech) -> Samples:
        if len(speech.audio) > 1000:  # every sentence except a first one
            may_finish.wait(20)
        return np.zeros(len(speech.audio), np.int16)

    monkeypatch.setattr(synthesis, "finish", finish)
    long = Synthesis(numbered(30), VOICE).chunks()
    try:
        await anext(long)
        await asyncio.sleep(0.1)  # the sentences synthesised ahead are done, and wait for threads that finish them
        async with asyncio.timeout(5):
            assert len(await anext(Synthesis(numbered(1), VOICE).chunks())) == 1000
    finally:
        may_finish.set()
        await long.aclose()


@pytest.mark.parametrize(("whole", "ahead"), [(True, 0), (False, 2)])
async def test_audio_that_is_awaited_whole_precedes_look_ahead(
    slow: SlowEngine, monkeypatch: pytest.MonkeyPatch, whole: bool, ahead: int
) -> None:
    made_ahead: list[Speech] = []

    async def in_ahead_pool(_finish: object, speech: Speech) -> Samples:
        made_ahead.append(speech)
        return np.zeros(1, np.int16)

    monkeypatch.setattr(synthesis, "in_ahead_pool", in_ahead_pool)
    assert len([samples async for samples in Synthesis(numbered(3), VOICE, is_awaited_whole=whole).chunks()]) == 3
    assert len(made_ahead) == ahead


async def test_sentences_of_a_client_that_left_are_dropped(slow: SlowEngine) -> None:
    chunks = Synthesis(numbered(30), VOICE).chunks()
    await anext(chunks)
    slow.seconds = 60
    await anext(chunks)
    await asyncio.sleep(0.01)
    await chunks.aclose()
    asked = len(slow.asked)
    await asyncio.sleep(0.1)
    assert slow.running == 0
    assert len(slow.asked) == asked <= LOOK_AHEAD + 2
