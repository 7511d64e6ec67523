"""The lifetime of ``/ws/asr`` streams: limits, vanished clients, slow handlers, draining and checkpoints."""

from __future__ import annotations

import asyncio
import json

import jiwer
import pytest
from django.db import OperationalError

from gateway import socket
from gateway.gate import Work
from gateway.lifecycle import lifecycle
from gateway.socket_messages import MESSAGE_BYTES
from tests import sound
from tests.asr.sockets import SENTENCE, START, TALK, opened, pcm16, rows
from usage.models import LedgerEntry, OpenStream

pytestmark = pytest.mark.usefixtures("settled")


async def test_silent_audio_is_not_idle(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_WS_IDLE_S = 0.3
    async with opened(server_address, api_key) as client:
        await client.send(START)
        await client.speak(sound.silence(0.5), pause_s=0.1)  # silent audio is not an idle connection
        assert await client.close_code() == 4408
    assert client.error["code"] == "idle_timeout"


async def test_a_failing_recheck_does_not_disable_the_other_limits(
    server_address: str, api_key: str, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the periodic check of the user's access fails, the other limits still end the stream."""
    asked = 0

    async def fails(_work: Work) -> None:
        nonlocal asked
        asked += 1
        raise OperationalError("gone")

    monkeypatch.setattr(socket, "RECHECK_S", 0.05)
    monkeypatch.setattr(Work, "recheck", fails)
    settings.VOICE_WS_IDLE_S = 0.5
    async with opened(server_address, api_key) as client:
        await client.send(START)
        assert await client.close_code() == 4408
    assert asked > 1


async def test_the_longest_session(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_WS_MAX_S = 1.0
    async with opened(server_address, api_key) as client:
        await client.send(START)
        await client.speak(TALK[:24_000])
        assert await client.close_code() == 4413
    assert client.error["code"] == "session_expired"
    assert client.of("final")  # the words up to then
    [row] = await rows()
    assert (row.status, row.audio_ms) == (200, 1500)


async def test_a_client_that_vanishes_is_metered(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key) as client:
        await client.send(START)
        await client.speak(TALK[:16_000])
        await client.until("speech_started")
        client.connection.transport.abort()
    [row] = await rows()
    assert (row.status, row.audio_ms) == (200, 1000)


async def test_a_thousand_connections_opened_and_dropped(server_address: str, api_key: str) -> None:
    tasks = len(asyncio.all_tasks())

    async def come_and_go(number: int) -> None:
        async with opened(server_address, api_key, headers={"X-Voice-User": f"user-{number % 200}"}) as client:
            if number % 3:
                await client.send(START)
            if number % 3 == 2:
                await client.send(bytes(3_200))
            client.connection.transport.abort()

    for batch in range(0, 1_000, 50):
        await asyncio.gather(*(come_and_go(number) for number in range(batch, batch + 50)))
    found = await rows()
    assert len(found) == 1_000
    assert {row.status for row in found} <= {200, 499}
    assert sum(row.audio_ms for row in found) <= 333 * 100
    await asyncio.sleep(0.2)
    assert len(asyncio.all_tasks()) <= tasks + 5


async def test_a_client_that_does_not_read_is_disconnected(server_address: str, api_key: str, monkeypatch) -> None:
    from asr.consumer import PlainConsumer

    blocked = asyncio.Event()

    async def send(self, text_data=None, bytes_data=None, close=False) -> None:
        await blocked.wait()  # as uvicorn does when the client's buffers are full

    monkeypatch.setattr(PlainConsumer, "send", send)
    monkeypatch.setattr("gateway.outgoing.MAX_WAITING", 5)
    async with opened(server_address, api_key) as client:
        await client.send(START | {"turn_detection": None})
        for _ in range(20):
            await client.send({"type": "commit"})  # each is answered with an error
        assert await client.close_code() == 1006
    [row] = await rows()
    assert row.status == 499


async def test_pings_are_answered_while_a_handler_waits(server_address: str, api_key: str, monkeypatch) -> None:
    """Clients close the connection if pings are not answered, and the engine may be busy for longer than they wait."""
    from asr.consumer import PlainConsumer

    free = asyncio.Event()
    taken = 0

    async def on_binary(self, data: bytes) -> None:
        nonlocal taken
        await free.wait()
        taken += 1

    monkeypatch.setattr(PlainConsumer, "on_binary", on_binary)
    async with opened(server_address, api_key) as client:
        await client.send(START)
        for _ in range(100):
            await client.send(bytes(1_280))
        async with asyncio.timeout(5):
            await (await client.connection.ping())
        free.set()
        await client.send({"type": "stop"})
        assert await client.close_code() == 1000
    assert taken == 100


async def test_reading_ahead_is_bounded(server_address: str, api_key: str, monkeypatch) -> None:
    from asr.consumer import PlainConsumer

    monkeypatch.setattr(socket, "READ_AHEAD_BYTES", 10_000)
    free = asyncio.Event()
    most = 0

    async def on_binary(self, data: bytes) -> None:
        nonlocal most
        await free.wait()
        most = max(most, self._ahead_bytes)

    monkeypatch.setattr(PlainConsumer, "on_binary", on_binary)
    async with opened(server_address, api_key) as client:
        await client.send(START)
        for _ in range(300):
            await client.send(bytes(1_280))
        await asyncio.sleep(0.3)
        free.set()
        await client.send({"type": "stop"})
        assert await client.close_code() == 1000
    assert 0 < most <= 10_000 + 1_280 + MESSAGE_BYTES


@pytest.mark.parametrize("left_s", [0, 0.5], ids=["leaves as it stops", "left before"])
async def test_a_stuck_handler_does_not_keep_the_process_from_stopping(
    server_address: str, api_key: str, monkeypatch, settings, left_s: float
) -> None:
    from asr.consumer import PlainConsumer

    stopping = asyncio.Event()
    monkeypatch.setattr(lifecycle(), "stopping", stopping)
    monkeypatch.setattr(socket, "CLOSING_S", 0.2)
    settings.VOICE_WS_DRAIN_S = 0.2
    waits = asyncio.Event()

    async def on_binary(self, data: bytes) -> None:
        waits.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(PlainConsumer, "on_binary", on_binary)
    async with opened(server_address, api_key) as client:
        await client.send(START)
        await client.send(bytes(3_200))
        await waits.wait()
        client.connection.transport.abort()
    await asyncio.sleep(left_s)  # until the server notices
    stopping.set()
    async with asyncio.timeout(5):
        await lifecycle()._nothing_under_way.wait()


async def test_draining(server_address: str, api_key: str, monkeypatch) -> None:
    stopping = asyncio.Event()
    monkeypatch.setattr(lifecycle(), "stopping", stopping)
    async with opened(server_address, api_key) as client:
        await client.send(START)
        await client.speak(TALK[:24_000])
        await client.until("speech_started")
        stopping.set()
        assert await client.close_code() == 4503
    assert client.of("final")
    assert client.error["code"] == "over_capacity"
    assert json.dumps(client.events[-1]).startswith('{"type": "error"')
    [row] = await rows()
    assert row.status == 200
    assert 500 <= row.audio_ms <= 1500  # the last audio may have come too late


async def test_draining_handles_what_was_read_ahead(server_address: str, api_key: str, monkeypatch) -> None:
    from asr.consumer import PlainConsumer

    stopping = asyncio.Event()
    monkeypatch.setattr(lifecycle(), "stopping", stopping)
    on_binary = PlainConsumer.on_binary

    async def slow(self, data: bytes) -> None:
        await asyncio.sleep(0.1)
        await on_binary(self, data)

    monkeypatch.setattr(PlainConsumer, "on_binary", slow)
    data = pcm16(TALK)
    async with opened(server_address, api_key) as client:
        await client.send(START | {"partials": False})
        for start in range(0, len(data), 6_400):
            await client.send(data[start : start + 6_400])
        await asyncio.sleep(0.3)  # all messages are read, but most still wait for the handler
        stopping.set()
        assert await client.close_code() == 4503
    [final] = client.of("final")
    assert jiwer.wer(SENTENCE, final["text"]) <= 0.4
    [row] = await rows()
    assert row.audio_ms == pytest.approx(len(TALK) / 16, abs=1)


async def test_checkpoints_are_written_during_a_stream(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key) as client:
        await client.send(START | {"partials": False})
        await client.speak(sound.silence(25))
        for _ in range(200):
            noted = await OpenStream.objects.afirst()
            if noted and noted.entry["audio_ms"] >= 20_000:
                break
            await asyncio.sleep(0.05)
        assert 15_000 <= noted.entry["audio_ms"] <= 25_000
        assert not await LedgerEntry.objects.aexists()
        await client.send({"type": "stop"})
        await client.close_code()
    [row] = await rows()
    assert row.audio_ms == 25_000
