"""Brown-out: eSpeak NG speaks for a neural voice that is too busy."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from capacity.concurrent_users import concurrency_slot, leases
from inference import processor, runtime
from inference.engine import EngineStats
from rollout.feature import Feature
from tests.asr.sockets import quiet
from tts.brownout import Reason, is_browned_out
from tts.kokoro import SAMPLE_RATE
from tts.kokoro_voices import kokoro_voices
from tts.reply_voice import ReplyVoice
from tts.speech_file import SpeechRequest, planned_file
from tts.synthesis import Synthesis, sentences_of
from tts.units import WHOLE_UP_TO_CHARACTERS, Speech, SpeechUnit
from tts.voices import Voice
from usage.models import LedgerEntry

CORES = processor.cores()
VOICES = {voice.id: voice for voice in kokoro_voices(None)}


class Busy:
    """An engine that reports an estimated wait of ``wait_s``."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.shown: EngineStats | None = None
        self.spoken: list[Voice] = []

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def submit(self, unit: SpeechUnit) -> Speech:
        self.spoken.append(unit.voice)
        return Speech(np.full(2400, 0.1, np.float32), SAMPLE_RATE)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Speech]:
        raise NotImplementedError

    def show(self, **changes: float) -> None:
        """Change these fields of the stats that the engine reports."""
        self.shown = replace(self.stats(), **changes)

    def stats(self) -> EngineStats:
        return self.shown or EngineStats(True, 0, 0, 0, 0, 0, 0.0, self.wait_s, cores=CORES)


async def speak(reply: ReplyVoice, text: str = "Selamat pagi", language: str = "ms") -> SpeechUnit:
    spoken = reply.unit(text=text, language=language)
    await reply.speak(spoken)
    return spoken


async def test_in_a_brownout_espeak_speaks_new_replies_in_the_same_language_and_sex(offered: Any, espeak: None) -> None:
    busy = offered(Busy(wait_s=30))
    leases()._served.take_busiest()
    for name, language, expected in [
        ("aisyah", "ms", "female"),
        ("hafiz", "ms", "male"),
        ("hafiz", "en", "male"),
        ("aisyah", "zh", "female"),
    ]:
        reply = ReplyVoice(VOICES[name])
        spoken = await speak(reply, language=language)
        assert reply.degraded is Reason.BUSY
        assert (spoken.voice.engine, spoken.voice.gender) == ("espeak-ng", expected)
        assert spoken.voice.speaks(language)
    assert not busy.spoken
    assert leases()._served.take_busiest().fallbacks == 4  # shown on the capacity page


async def test_a_reply_keeps_its_voice(offered: Any, espeak: None) -> None:
    busy = offered(Busy(wait_s=0))
    reply = ReplyVoice(VOICES["aisyah"])
    await speak(reply)
    busy.wait_s = 30
    await speak(reply)
    assert reply.degraded is None
    assert len(busy.spoken) == 2
    degraded = ReplyVoice(VOICES["aisyah"])
    await speak(degraded)
    busy.wait_s = 0
    assert (await speak(degraded)).voice.engine == "espeak-ng"


async def test_a_backlog_of_the_neural_engine_causes_a_brownout(offered: Any) -> None:
    busy = offered(Busy(wait_s=0))
    for backlog_s, is_too_many in ((0.0, False), (9.0, True)):
        busy.shown = EngineStats(True, 3, 1, 10, 10, 1, 5.0, 0.0, backlog_s)
        assert is_browned_out() is is_too_many


async def test_espeak_speaks_a_reply_that_would_be_ready_too_late(
    offered: Any, espeak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = offered(Busy(wait_s=0))
    busy.shown = EngineStats(True, 0, 1, 10, 10, 1, 5.0, 0.0, backlog_s=1.0, seconds_per_cost=0.012)
    monkeypatch.setattr("capacity.concurrent_users.Leases.users_here", 2)

    def degraded(text: str) -> Reason | None:
        whole = SpeechRequest(text, VOICES["aisyah"]).is_awaited_whole
        return Synthesis(
            sentences_of(text, "ms"), VOICES["aisyah"], starts_early=True, is_awaited_whole=whole
        ).voice.degraded

    assert degraded("Selamat pagi, apa khabar semua?") is None
    assert (
        degraded("Selamat pagi, apa khabar semua hari ini? " * 4) is Reason.BUSY
    )  # played only when all of it is ready
    assert degraded("Selamat pagi, apa khabar semua hari ini? " * 8) is None  # played while it is still being made


async def test_a_short_text_is_awaited_whole(offered: Any) -> None:
    offered(Busy(wait_s=0))
    text = "Kodnya 739182. " * 12
    file = await planned_file(SpeechRequest(text, VOICES["aisyah"]))
    assert file.synthesis is not None
    assert len(text) <= WHOLE_UP_TO_CHARACTERS < sum(len(sentence.text) for sentence in file.synthesis.sentences)
    assert {unit.slack_s async for unit in file.synthesis._units()} == {0.0}


async def test_admission_counts_replies_that_espeak_speaks(
    offered: Any, api: httpx.AsyncClient, espeak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = offered(Busy(wait_s=0))
    monkeypatch.setattr("capacity.concurrent_users.Leases.users_here", 2)
    costs: list[float] = []
    monkeypatch.setattr("gateway.gate.Work.set_cost", lambda _work, cost: costs.append(cost))
    # The first sentence is spoken in several parts, which cost more than the same text in one.
    first = (
        "Hari ini hujan lebat sekali, jadi saya duduk di rumah bersama adik, lalu kami membaca buku yang baru dibeli "
        "oleh ibu di kedai, sambil minum teh panas dan makan kuih yang dibuat oleh nenek. "
    )
    body = {"model": "tts-1", "voice": "alloy", "input": first + "Selamat pagi semua. " * 10}
    for pace, voice, counted in ((0.0108, "busy", [len(body["input"])]), (0.001, None, [])):
        busy.shown = EngineStats(True, 0, 0, 10, 10, 1, 5.0, 0.0, seconds_per_cost=pace)
        answer = await api.post("/v1/audio/speech", json=body)
        assert (answer.status_code, answer.headers.get("X-Voice-Degraded")) == (200, voice)
        assert costs == counted
        costs.clear()


async def test_the_only_user_keeps_the_neural_voice(offered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = offered(Busy(wait_s=0))
    slow.shown = EngineStats(True, 0, 0, 10, 10, 1, 5.0, 0.0, seconds_per_cost=0.1)
    for users, is_too_many in ((1, False), (2, True)):
        monkeypatch.setattr("capacity.concurrent_users.Leases.users_here", users)
        assert is_browned_out(cost=100) is is_too_many


async def test_without_named_users_only_the_first_reply_counts_as_alone(offered: Any) -> None:
    slow = offered(Busy(wait_s=0))
    slow.shown = EngineStats(True, 0, 0, 10, 10, 1, 5.0, 0.0, seconds_per_cost=0.1)
    async with concurrency_slot(1, "", Feature.REALTIME), concurrency_slot(1, "", Feature.TTS):
        assert not is_browned_out(cost=100)  # one user who speaks and is answered counts once
        async with concurrency_slot(1, "", Feature.TTS):
            assert is_browned_out(cost=100)


async def test_a_backlog_of_the_recogniser_causes_a_brownout(
    offered: Any, espeak: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    offered(Busy(wait_s=0))
    monkeypatch.setitem(runtime._engines, "asr", Busy(wait_s=30))
    reply = ReplyVoice(VOICES["aisyah"])
    await speak(reply)
    assert reply.degraded is Reason.BUSY
    settings.VOICE_INFERENCE_URL = "http://tier"  # in a tier, models do not share cores
    assert not is_browned_out()


@pytest.fixture
def neural(offered: Any, monkeypatch: pytest.MonkeyPatch) -> Busy:
    """A neural engine that takes a second for a text of cost 100 on an idle machine. It serves more than one user."""
    engine = offered(Busy(wait_s=0))
    engine.shown = EngineStats(
        True, 0, 0, 10, 10, 1, 5.0, 0.0, seconds_per_cost=0.01, fastest_seconds_per_cost=0.01, cores=CORES
    )
    monkeypatch.setattr("capacity.concurrent_users.Leases.users_here", 2)
    return engine


@pytest.fixture
def recogniser(monkeypatch: pytest.MonkeyPatch) -> Busy:
    engine = Busy(wait_s=0)
    engine.shown = EngineStats(True, 0, 0, 9, 9, 1, 5.0, 0.0, cores=CORES)
    monkeypatch.setitem(runtime._engines, "asr", engine)
    return engine


async def test_a_recogniser_that_uses_much_of_the_cores_causes_a_brownout(neural: Busy, recogniser: Busy) -> None:
    for utilisation, is_too_many in ((0.0, False), (0.3, False), (0.6, True), (1.0, True)):  # 1.0, 1.4, 2.5 and 10 s
        recogniser.show(utilisation=utilisation)
        assert is_browned_out(cost=100) is is_too_many
        assert not is_browned_out(cost=1)


async def test_a_speed_measured_beside_the_recogniser_is_not_reduced_again(neural: Busy, recogniser: Busy) -> None:
    recogniser.show(utilisation=0.4)
    for pace, is_too_many in ((0.01, False), (0.016, False), (0.019, False), (0.021, True)):
        neural.show(seconds_per_cost=pace)
        assert is_browned_out(cost=100) is is_too_many


async def test_a_recogniser_on_a_gpu_causes_no_brownout(neural: Busy, recogniser: Busy) -> None:
    recogniser.show(cores=0, utilisation=1.0, backlog_s=5.0, estimated_wait_s=5.0)
    assert not is_browned_out(cost=100)


async def test_a_recogniser_counts_for_its_share_of_the_cores(
    neural: Busy, recogniser: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts.brownout.processor.cores", lambda: 8)
    for cores, utilisation, backlog_s, is_too_many in (
        (2, 1.0, 0.0, False),  # 1.3 s
        (2, 1.0, 2.0, False),  # 1.8 s
        (2, 1.0, 4.0, True),  # 2.3 s
        (6, 0.6, 0.0, False),  # 1.8 s
        (6, 1.0, 0.0, True),  # 4 s
        (16, 0.4, 0.0, False),  # 1.7 s
        (16, 0.6, 0.0, True),  # 2.5 s
    ):
        recogniser.show(cores=cores, utilisation=utilisation, backlog_s=backlog_s)
        assert is_browned_out(cost=100) is is_too_many


async def test_the_brownout_can_be_switched_off(offered: Any, settings: Any) -> None:
    settings.VOICE_TTS_BROWNOUT = False
    busy = offered(Busy(wait_s=30))
    reply = ReplyVoice(VOICES["aisyah"])
    await speak(reply)
    assert reply.degraded is None
    assert busy.spoken == [VOICES["aisyah"]]


async def test_a_degraded_answer_is_marked_in_its_header_and_in_the_ledger(
    offered: Any, api: httpx.AsyncClient, espeak: None
) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": "Selamat pagi. Apa khabar?", "response_format": "pcm"}
    busy = offered(Busy(wait_s=30))
    answer = await api.post("/v1/audio/speech", json=body)
    assert (answer.status_code, answer.headers["X-Voice-Degraded"]) == (200, "busy")
    entry = await LedgerEntry.objects.order_by("pk").alast()
    assert entry is not None
    assert (entry.model, entry.voice) == ("espeak-ng", "ms+f1")
    busy.wait_s = 0
    answer = await api.post("/v1/audio/speech", json=body)
    assert (answer.status_code, answer.headers.get("X-Voice-Degraded")) == (200, None)  # degraded speech was not cached
    assert [voice.id for voice in busy.spoken] == ["aisyah"] * 2


async def test_a_degraded_stream_is_marked_in_its_events_and_in_the_ledger(
    offered: Any, server_address: str, api_key: str, espeak: None
) -> None:
    offered(Busy(wait_s=30))
    url = server_address.replace("http://", "ws://") + "/ws/tts"
    async with connect(url, additional_headers={"Authorization": f"Bearer {api_key}"}) as socket:
        await socket.send(json.dumps({"type": "start", "voice": "aisyah"}))
        await socket.send(json.dumps({"type": "text", "text": "Selamat pagi. Apa khabar?"}))
        await socket.send(json.dumps({"type": "end"}))
        events = [json.loads(message) async for message in socket if isinstance(message, str)]
    assert {event["degraded"] for event in events if event["type"] == "sentence"} == {"busy"}
    await quiet()
    entry = await LedgerEntry.objects.order_by("pk").alast()
    assert entry is not None
    assert (entry.model, entry.voice) == ("espeak-ng", "ms+f1")
