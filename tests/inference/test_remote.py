"""Remote engines give the same results as local ones, even if servers of the inference tier fail."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from asr import wire as asr_wire
from asr.units import Options
from asr.units import SpeechUnit as AudioUnit
from inference import remote, runtime
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity, UnitFailed
from inference.remote import RemoteEngine
from inference.tier import MAX_MISSES, RETRIES_PER_UNIT, RETRIES_SAVED, Tier
from inference.unit_server import LocalUnitHandler, UnitServer
from inference.wire import LARGEST_FRAME, PREFIX, PackedUnit, failure_reply, parse, result_reply
from tests import sound
from tests.dependencies import lasting_port
from tests.inference.unit_handlers import IDLE, ScriptedUnitHandler, handler, serving
from tests.services import inference_tier
from tts.units import Speech, SpeechUnit
from tts.voices import default_voice
from tts.wire import SpeechCodec
from voiceproject.management.commands.serve_inference import Application

CODEC = SpeechCodec("espeak-ng")
AUDIO = np.array([0.25, -0.5], np.float32)


def sentence(text: str = "Apa khabar?", **fields) -> SpeechUnit:
    return SpeechUnit(text=text, voice=default_voice(), **fields)


def spoken(_frame: bytes = b""):
    return result_reply(CODEC, Speech(AUDIO, 22050), sentence(), "test", IDLE)


async def speak(_frame: bytes):
    return spoken()


async def hang(_frame: bytes):
    await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def own_checkpoint(monkeypatch) -> None:
    """Start each test as if no tier had reported its checkpoint, and restore the previous state afterwards."""
    monkeypatch.setattr("asr.checkpoint._adopted", None)


@pytest.fixture
async def real() -> AsyncIterator[str]:
    """The address of a unit server that runs the real engines."""
    async with serving(Application(LocalUnitHandler(["asr", "espeak-ng"]))) as url:
        yield url


@asynccontextmanager
async def remote_speech(*urls: str) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine("espeak-ng", CODEC, Tier(list(urls)))
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def remote_recognition(*urls: str) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine("asr", asr_wire.SpeechCodec(), Tier(list(urls)))
    try:
        await engine.load()
        yield engine
    finally:
        await engine.close()


async def test_it_works(real: str) -> None:
    async with remote_speech(real) as engine:
        await engine.load()
        unit = sentence()
        far = await engine.submit(unit)
        near = await runtime.local("espeak-ng").submit(sentence())
        assert abs(len(far.audio) - len(near.audio)) < 100  # eSpeak NG's own length varies by a few samples
        assert (far.sample_rate, far.tempo) == (near.sample_rate, near.tempo)
        assert unit.queued_ms > 0


async def test_remote_and_local_words_are_the_same(real: str) -> None:
    clip = sound.said("selamat pagi semua")
    options = Options(language="ms", words=True)
    async with remote_recognition(real) as engine:
        far = await engine.submit(AudioUnit(audio=clip, options=options))
        near = await runtime.local("asr").submit(AudioUnit(audio=clip, options=options))
    assert (far.text, far.words, far.phrases) == (near.text, near.words, near.phrases)
    assert far.text == "selamat pagi semua"


async def test_units_of_many_callers_are_batched_in_the_tier(real: str) -> None:
    async with remote_speech(real) as engine:
        await asyncio.gather(*(engine.submit(sentence(f"Ayat nombor {number}.")) for number in range(64)))
        stats = engine.stats()
    assert stats.ready
    assert stats.units >= 64
    assert stats.largest_batch > 1


async def test_a_stream_keeps_its_order(real: str) -> None:
    async def sentences() -> AsyncIterator[SpeechUnit]:
        for number in range(20):
            yield sentence("satu " * (1 + number % 3))

    async with remote_speech(real) as engine:
        words = [round(len(speech.audio) / 8_000) async for speech in engine.stream(sentences())]
    assert words == [1, 2, 3] * 6 + [1, 2]


FIELDS_OF_0_3_0 = {
    "ready",
    "queue_length",
    "running",
    "units",
    "batches",
    "largest_batch",
    "busy_s",
    "estimated_wait_s",
}


async def test_stats_have_only_fields_that_version_0_3_0_accepts() -> None:
    """Version 0.3.0 rejects readings with unknown fields. Newer fields are therefore in another part of the message."""
    header, _payload = parse(spoken().body)
    assert set(header["stats"]) == FIELDS_OF_0_3_0
    async with handler(speak) as (_, url), httpx.AsyncClient() as client:
        [reading] = (await client.get(f"{url}{PREFIX}status")).json()["engines"]["espeak-ng"]
        assert set(reading) == FIELDS_OF_0_3_0 | {"process"}
        async with remote_speech(url) as engine:
            await engine._tier.start("test")
            assert (engine.stats().backlog_s, engine.stats().seconds_per_cost) == (1.5, 0.02)
            engine._tier._readings.clear()
            await engine.submit(sentence())
            assert (engine.stats().backlog_s, engine.stats().seconds_per_cost) == (1.5, 0.02)
            await engine._tier.leave("test")


async def test_fields_of_a_later_version_are_ignored() -> None:
    tier = Tier(["http://nowhere"])
    tier.store_stats("espeak-ng", "newer", {**asdict(IDLE), "process": "newer", "mood": "sunny"})
    assert tier.stats("espeak-ng").backlog_s == 1.5


async def test_the_workers_of_all_processes_are_counted() -> None:
    tier = Tier(["http://nowhere"])
    for process in ("one", "other"):
        tier.store_stats("espeak-ng", process, asdict(replace(IDLE, workers=2)))
    assert tier.stats("espeak-ng").workers == 4


async def test_the_tier_describes_its_models(real: str) -> None:
    from asr import checkpoint

    here = checkpoint.configured()
    async with remote_recognition(real):
        assert checkpoint._adopted is not None
        assert {**asdict(checkpoint.configured()), "lexicon": here.lexicon} == asdict(here)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OverCapacity(7.0), OverCapacity),
        (UnitFailed("odd"), UnitFailed),
        (EngineUnavailable("gone"), EngineUnavailable),
    ],
)
async def test_a_refusal_arrives_as_the_same_error(error, kind) -> None:
    async def refuse(_frame: bytes):
        return failure_reply(error)

    async with handler(refuse) as (_handler, url), remote_speech(url) as engine:
        with pytest.raises(kind) as refused:
            await engine.submit(sentence())
    assert str(refused.value) == str(error)


async def test_a_unit_refused_by_a_full_server_goes_to_another() -> None:
    async def refuse(_frame: bytes):
        return failure_reply(OverCapacity(7.0))

    async with handler(refuse) as (_full, full), handler(speak) as (_free, free), remote_speech(full, free) as engine:
        for _ in range(8):
            await engine.submit(sentence())


async def test_admitted_units_wait_where_others_are_refused() -> None:
    replies = iter([failure_reply(OverCapacity(1.0))] * 3)

    async def at_last(_frame: bytes):
        return next(replies, spoken())

    async with handler(at_last) as (seen, url), remote_speech(url) as engine:
        assert np.array_equal((await engine.submit(sentence(admitted=True))).audio, AUDIO)
    assert len(seen.frames) == 4


async def test_a_deadline_applies_in_the_tier() -> None:
    async with handler(hang) as (seen, url), remote_speech(url) as engine:
        with pytest.raises(DeadlineExceeded):
            await engine.submit(sentence(deadline=time.monotonic() + 0.2))
        with pytest.raises(DeadlineExceeded):
            await engine.submit(sentence(deadline=time.monotonic() - 1))
        while not seen.cancelled:
            await asyncio.sleep(0.01)
    assert len(seen.frames) == 1


async def test_a_caller_that_disconnects_cancels_its_unit() -> None:
    async with handler(hang) as (seen, url), remote_speech(url) as engine:
        waiting = asyncio.ensure_future(engine.submit(sentence()))
        while not seen.frames:
            await asyncio.sleep(0.01)
        waiting.cancel()
        while not seen.cancelled:
            await asyncio.sleep(0.01)
        assert waiting.cancelled()


async def test_a_unit_that_a_server_lost_is_run_by_another() -> None:
    async def fail(_frame: bytes):
        raise ConnectionResetError  # the connection breaks without an error response

    async with handler(fail) as (bad, one), handler(speak) as (_good, two), remote_speech(one, two) as engine:
        while not bad.frames:
            assert np.array_equal((await engine.submit(sentence())).audio, AUDIO)


async def test_a_unit_on_a_slow_server_is_sent_to_another_too(monkeypatch) -> None:
    monkeypatch.setattr(remote, "SLOWEST_GUESS_S", 0.05)
    async with handler(hang) as (slow, one), handler(speak) as (_quick, two), remote_speech(one, two) as engine:
        while not slow.frames:
            assert np.array_equal((await engine.submit(sentence())).audio, AUDIO)
        while slow.cancelled < len(slow.frames):
            await asyncio.sleep(0.01)


async def test_of_two_attempts_that_end_together_the_successful_one_counts(monkeypatch) -> None:
    monkeypatch.setattr(remote, "SLOWEST_GUESS_S", 0.02)
    monkeypatch.setattr(remote, "MIN_MEASURED", 1_000)
    both_asked = asyncio.Event()

    async def fail(_frame: bytes):
        await both_asked.wait()
        return failure_reply(UnitFailed("odd"))

    async def succeed(_frame: bytes):
        both_asked.set()
        return spoken()

    async with handler(fail) as (_bad, one), handler(succeed) as (_good, two), remote_speech(one, two) as engine:
        for _ in range(40):
            both_asked.clear()
            assert np.array_equal((await engine.submit(sentence())).audio, AUDIO)


@pytest.mark.parametrize("admitted", [True, False])
async def test_admitted_units_are_patient_with_stopping_servers(admitted: bool) -> None:
    seen = ScriptedUnitHandler(speak)
    stopping = UnitServer(seen)
    staying = UnitServer(seen)
    stopping.draining = True
    refusals = iter([stopping] * 6)

    async def balancer(scope, receive, send) -> None:
        is_unit = scope["type"] == "http" and scope["method"] == "POST"
        server = next(refusals, staying) if is_unit else staying
        await server(scope, receive, send)

    async with serving(balancer) as url, remote_speech(url) as engine:
        if admitted:
            assert np.array_equal((await engine.submit(sentence(admitted=True))).audio, AUDIO)
        else:
            with pytest.raises(EngineUnavailable):
                await engine.submit(sentence())
    assert len(list(refusals)) == (0 if admitted else 6 - remote.MAX_TRIES)


async def test_a_stopping_server_does_not_hide_the_others_at_its_address() -> None:
    servers = [UnitServer(ScriptedUnitHandler(speak)) for _ in range(2)]
    servers[0].draining = True
    turns = itertools.cycle(servers)

    async def balancer(scope, receive, send) -> None:
        await next(turns)(scope, receive, send)

    async with serving(balancer) as url, remote_speech(url) as engine:
        tier = engine._tier
        await tier.start("test")
        for _ in range(3):
            await tier._probe(tier._endpoints[0])
            assert tier.is_up("espeak-ng")
            next(turns)
        servers[1].draining = True
        await tier._probe(tier._endpoints[0])
        assert not tier.is_up("espeak-ng")
        await tier.leave("test")


@pytest.mark.parametrize("next_answer", ["lost", "slow", "error"])
async def test_what_a_stopping_server_says_counts_if_the_next_connection_is_lost(
    monkeypatch: pytest.MonkeyPatch, next_answer: str
) -> None:
    """An address is no longer ready if its only server says that it is stopping and the next connection is lost.

    But if the next answer is slow or an error, it may come from another server, which may be ready.
    """
    monkeypatch.setattr("inference.tier.PROBE_TIMEOUT_S", 0.3)
    monkeypatch.setattr("inference.tier.PROBE_EVERY_S", 60.0)
    server = UnitServer(ScriptedUnitHandler(speak))
    answers = True

    async def leaving(scope, receive, send) -> None:
        nonlocal answers
        if scope["type"] != "http" or answers:
            answers = not server.draining
            await server(scope, receive, send)
            return
        answers = True
        if next_answer == "slow":
            await asyncio.sleep(1)
        if next_answer == "lost":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        raise ConnectionResetError

    async with serving(leaving) as url, remote_speech(url) as engine:
        tier = engine._tier
        await tier.start("test")
        assert tier.is_up("espeak-ng")
        server.draining = True
        for misses in range(1, MAX_MISSES + 1):
            await tier._probe(tier._endpoints[0])
            assert tier.is_up("espeak-ng") is (next_answer != "lost" and misses < MAX_MISSES)
        await tier.leave("test")


async def test_retries_have_a_budget() -> None:
    async def fail(_frame: bytes):
        return failure_reply(EngineUnavailable("a replica died"))

    units = 400
    async with handler(fail) as (seen, url), remote_speech(url) as engine:
        outcomes = await asyncio.gather(*(engine.submit(sentence()) for _ in range(units)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {EngineUnavailable}
    assert len(seen.frames) <= units * (1 + RETRIES_PER_UNIT) + RETRIES_SAVED


async def test_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    with inference_tier(tmp_path, "espeak-ng") as one, inference_tier(tmp_path, "espeak-ng") as two:
        async with remote_speech(one.url, two.url) as engine:
            units = [asyncio.ensure_future(engine.submit(sentence(f"Ayat {n}. " * 8))) for n in range(20)]
            await asyncio.wait(units, return_when=asyncio.FIRST_COMPLETED)
            one.process.kill()
            assert all(len(speech.audio) for speech in await asyncio.gather(*units))


async def test_a_server_that_freezes_loses_nothing(tmp_path: Path) -> None:
    with inference_tier(tmp_path, "espeak-ng") as one, inference_tier(tmp_path, "espeak-ng") as two:
        async with remote_speech(one.url, two.url) as engine:
            await engine.load()
            one.process.send_signal(signal.SIGSTOP)
            speeches = await asyncio.gather(*(engine.submit(sentence(f"Ayat {n}.")) for n in range(20)))
            assert all(len(speech.audio) for speech in speeches)


async def test_a_stopping_server_finishes_its_units(tmp_path: Path) -> None:
    with inference_tier(tmp_path, "espeak-ng") as one, inference_tier(tmp_path, "espeak-ng") as two:
        async with remote_speech(one.url, two.url) as engine:
            units = [asyncio.ensure_future(engine.submit(sentence(f"Ayat {n}. " * 20))) for n in range(40)]
            await asyncio.wait(units, return_when=asyncio.FIRST_COMPLETED)
            one.process.terminate()
            assert all(len(speech.audio) for speech in await asyncio.gather(*units))
        assert await asyncio.to_thread(one.process.wait, 20) == 0


async def test_units_are_refused_while_the_tier_is_down_and_accepted_afterwards(tmp_path: Path) -> None:
    port = lasting_port()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(remote_speech(f"http://127.0.0.1:{port}"))
        with pytest.raises(EngineUnavailable):
            await engine.load()
        with pytest.raises(EngineUnavailable):
            await engine.submit(sentence())
        assert not engine.stats().ready
        with inference_tier(tmp_path, "espeak-ng", port=port):
            patient = await engine.submit(sentence(admitted=True))  # admitted, so it waits for the tier's return
            assert len(patient.audio)
            await engine.load()
            assert engine.stats().ready
        with pytest.raises(EngineUnavailable):
            await engine.submit(sentence())


async def test_the_server_answers_invalid_requests_with_errors(real: str) -> None:
    packed = PackedUnit(CODEC, sentence()).frame()
    async with httpx.AsyncClient(base_url=real) as client:
        assert (await client.post(f"{PREFIX}espeak-ng", content=b"abc")).json()["error"]["code"] == "bad_unit"
        assert (await client.post(f"{PREFIX}asr", content=packed)).status_code == 400
        assert (await client.post(f"{PREFIX}espeak-ng", content=bytes(LARGEST_FRAME + 1))).status_code == 400
        for path in (f"{PREFIX}nobody", "/units/v2/espeak-ng", "/"):
            response = await client.post(path, content=packed)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
        assert (await client.post(f"{PREFIX}espeak-ng", content=packed)).status_code == 200
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        assert "voice_batch_size_count" in (await client.get("/metrics")).text
