"""A change of model without downtime, as described in docs/operations.md.

A second tier starts beside the first. When it is ready, traffic moves to it, and the first tier finishes its requests.
Callers notice nothing.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from inference.errors import Draining, EngineUnavailable
from inference.remote import RemoteEngine
from inference.tier import MAX_MISSES, RETRIES_SAVED
from inference.unit_server import UnitServer
from tests import sound
from tests.dependencies import free_port, lasting_port
from tests.inference.test_remote import remote_speech, sentence, speak
from tests.inference.unit_handlers import ScriptedUnitHandler, serving
from tests.services import inference_tier, served

FILE = {"file": ("a.wav", sound.wav(sound.said("selamat pagi semua")))}
SETTLED_S = 3.0  # seconds of load before and after the switch
CALLERS = 2
PATIENT = {"VOICE_ASR_WAIT_S": "0", "VOICE_TTS_WAIT_S": "0"}  # no limit, because a busy machine would refuse requests


class Balancer:
    """One address for a server that can be replaced.

    New connections go to ``target``. Open connections stay with the server that they have.
    """

    def __init__(self, target: str) -> None:
        self.port = lasting_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.target = target

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            behind = await asyncio.open_connection("127.0.0.1", port_of(self.target))
            await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))

    @asynccontextmanager
    async def here(self) -> AsyncIterator[None]:
        """Run the balancer on this event loop."""
        async with await asyncio.start_server(self._connected, "127.0.0.1", self.port):
            yield

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the balancer in a separate thread."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        listening = asyncio.start_server(self._connected, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(listening, loop).result(5)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def unfinished_unit(url: str) -> Iterator[None]:
    """Keep a request in progress at a unit server, so that the server keeps draining."""
    with socket.create_connection(("127.0.0.1", port_of(url))) as client:
        client.sendall(b"POST /units/v1/asr HTTP/1.1\r\nHost: tier\r\nContent-Length: 1000\r\n\r\n")
        yield


@asynccontextmanager
async def switched(callers: int) -> AsyncIterator[tuple[UnitServer, RemoteEngine]]:
    """Yield a server that the balancer no longer uses, and an engine that still has ``callers`` connections to it."""
    first = UnitServer(ScriptedUnitHandler(speak))
    second = UnitServer(ScriptedUnitHandler(speak))
    async with serving(first) as one, serving(second) as two:
        balancer = Balancer(one)
        async with balancer.here(), remote_speech(balancer.url) as engine:
            await engine.load()
            await asyncio.gather(*(engine.submit(sentence()) for _ in range(callers)))
            balancer.target = two
            yield first, engine


async def test_kept_connections_to_a_stopping_server_refuse_nobody() -> None:
    async with switched(int(2 * RETRIES_SAVED)) as (first, engine):
        first.draining = True
        await asyncio.gather(*(engine.submit(sentence()) for _ in range(int(2 * RETRIES_SAVED))))


async def test_a_stopping_server_does_not_disable_its_address() -> None:
    async with switched(1) as (first, engine):
        first.draining = True
        await engine._tier._probe(engine._tier._endpoints[0])
        assert engine.stats().ready


async def test_a_stopping_server_closes_its_connections() -> None:
    server = UnitServer(ScriptedUnitHandler(speak))
    async with serving(server) as url, httpx.AsyncClient(base_url=url) as client:
        assert "connection" not in (await client.get("/units/v1/status")).headers
        server.draining = True
        for reply in (await client.get("/units/v1/status"), await client.post("/units/v1/espeak-ng", content=b"")):
            assert reply.headers["connection"] == "close"


async def test_without_a_successor_the_refusal_says_that_the_server_stops() -> None:
    server = UnitServer(ScriptedUnitHandler(speak))
    async with serving(server) as url, remote_speech(url) as engine:
        await engine.load()
        server.draining = True
        with pytest.raises(Draining):
            await engine.submit(sentence())
        await engine._tier._probe(engine._tier._endpoints[0])
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await engine.submit(sentence())


async def test_an_address_that_answers_units_stays_in_service_although_probes_are_missed(monkeypatch) -> None:
    monkeypatch.setattr("inference.tier.PROBE_TIMEOUT_S", 0.0001)
    async with serving(UnitServer(ScriptedUnitHandler(speak))) as url, remote_speech(url) as engine:
        with monkeypatch.context() as answered:
            answered.setattr("inference.tier.PROBE_TIMEOUT_S", 2.0)
            await engine.load()
        for _ in range(MAX_MISSES):
            await engine._tier._probe(engine._tier._endpoints[0])
            await engine.submit(sentence())
        assert engine.stats().ready


def test_callers_notice_nothing(tmp_path: Path) -> None:
    answers: Counter[int] = Counter()
    stopping = threading.Event()
    with ExitStack() as stack:
        first = stack.enter_context(inference_tier(tmp_path, port=free_port(), **PATIENT))
        balancer = Balancer(first.url)
        stack.enter_context(balancer.running())
        server = stack.enter_context(served(tmp_path, VOICE_INFERENCE_URL=balancer.url, **PATIENT))

        def call() -> None:
            with httpx.Client(base_url=server.url, headers=server.headers(), timeout=60) as client:
                while not stopping.is_set():
                    spoken = client.post("/v1/audio/speech", json={"input": "Apa khabar?", "response_format": "wav"})
                    heard = client.post("/v1/audio/transcriptions", files=FILE, data={"model": "whisper-1"})
                    answers.update([spoken.status_code, heard.status_code])

        callers = [threading.Thread(target=call) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        # The tier is yielded when its models are warm.
        second = stack.enter_context(inference_tier(tmp_path, port=free_port(), **PATIENT))
        before = answers.total()
        with unfinished_unit(first.url):
            balancer.target = second.url
            first.process.send_signal(signal.SIGTERM)
            stopping.wait(SETTLED_S)
        assert first.process.wait(30) == 0
        stopping.wait(SETTLED_S)
        stopping.set()
        for caller in callers:
            caller.join(30)
    assert before > 0
    assert answers.total() > before
    assert set(answers) == {200}, answers
