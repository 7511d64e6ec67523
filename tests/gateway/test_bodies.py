"""Bodies and headers that are slow, endless or too large do not block other requests."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings

from gateway.admission_middleware import controllers
from inference.admission import BUSY, AdmissionController
from rollout.feature import Feature
from usage.models import LedgerEntry

SPEECH = json.dumps({"input": "Selamat pagi."}).encode()


@asynccontextmanager
async def connection(
    address: str, receive_buffer: int = 0
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(address)
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=client)
    try:
        yield reader, writer
    finally:
        writer.close()


def head(path: str, length: int, key: str | None = None, content_type: str = "application/json") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: voice", f"Content-Type: {content_type}", f"Content-Length: {length}"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Return the status and the error code of a refusal."""
    async with asyncio.timeout(10):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        error = json.loads(await reader.readexactly(length))["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(lines[0].split()[1]), error["code"]


@pytest.fixture
async def controller(monkeypatch: pytest.MonkeyPatch) -> AdmissionController:
    made = AdmissionController(longest_s=1.0, most=100, cost_per_byte=1.0, max_counted_cost=100.0)
    monkeypatch.setitem(controllers(), Feature.TTS, made)
    return made


async def test_clients_that_never_send_their_body_block_nobody(
    api: httpx.AsyncClient, server_address: str, controller: AdmissionController
) -> None:
    key = api.headers["Authorization"].removeprefix("Bearer ")
    waiting = [connection(server_address) for _ in range(2 * BUSY)]
    opened = [await one.__aenter__() for one in waiting]
    for number, (_, writer) in enumerate(opened):  # half of them without a key
        writer.write(head("/v1/audio/speech", len(SPEECH), key if number % 2 else None))
        await writer.drain()
    await asyncio.sleep(1.2)  # longer than the admission controller's longest wait
    assert controller._inside == 0
    response = await api.post("/v1/audio/speech", json={"input": "Selamat petang."})
    assert response.status_code == 200
    for one in waiting:
        await one.__aexit__(None, None, None)


async def test_an_unauthenticated_request_is_refused_before_its_body(server_address: str, transactional_db) -> None:
    async with connection(server_address) as (reader, writer):
        writer.write(head("/v1/audio/speech", len(SPEECH)))
        assert await answer(reader) == (401, "missing_credentials")


async def test_a_slow_upload_is_served(
    api: httpx.AsyncClient, server_address: str, controller: AdmissionController
) -> None:
    key = api.headers["Authorization"].removeprefix("Bearer ")
    async with connection(server_address) as (reader, writer):
        writer.write(head("/v1/audio/speech", len(SPEECH), key))
        for byte in SPEECH:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        assert (await reader.readline()).split()[1] == b"200"
    assert controller.wait_s < 1.0


async def test_a_body_that_is_too_slow_is_abandoned(
    api: httpx.AsyncClient, server_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "VOICE_BODY_GRACE_S", 0.3)
    key = api.headers["Authorization"].removeprefix("Bearer ")
    async with connection(server_address) as (reader, writer):
        writer.write(head("/v1/audio/speech", len(SPEECH), key) + SPEECH[:5])
        assert await answer(reader) == (408, "request_timeout")


async def test_large_bodies_outside_the_api_are_not_read(stranger: httpx.AsyncClient) -> None:
    body = {"file": b"\0" * (settings.VOICE_MAX_JSON_BYTES + 1)}
    response = await stranger.post("/admin/login/", files=body)
    assert response.json()["error"]["code"] == "file_too_large"


async def test_an_endless_head(server_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VOICE_HEAD_S", 0.3)
    async with connection(server_address) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: voice\r\n")
        assert await answer(reader) == (408, "request_timeout")
        assert await reader.read() == b""  # the connection is closed too
    async with connection(server_address) as (reader, writer):  # a connection without a request is closed too
        async with asyncio.timeout(5):
            assert b"408" in await reader.read()


async def test_a_head_that_is_too_large(server_address: str) -> None:
    async with connection(server_address) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: voice\r\n")
        writer.write(b"X-Filler: " + b"a" * (settings.VOICE_HEAD_BYTES + 1))
        assert await answer(reader) == (431, "headers_too_large")


async def test_a_large_body_sent_with_the_head_is_accepted(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    response = await api.post("/v1/audio/speech", content=SPEECH + b" " * 200_000, headers=headers)
    assert response.status_code == 200


async def test_a_client_that_reads_slowly_occupies_no_capacity(
    api: httpx.AsyncClient, server_address: str, controller: AdmissionController
) -> None:
    """Clients request more data than the kernel's buffers hold, read nothing, and stay connected."""
    key = api.headers["Authorization"].removeprefix("Bearer ")
    body = json.dumps({"input": "Ini ayat yang panjang untuk dibaca. " * 110, "response_format": "wav"}).encode()
    async with AsyncExitStack() as slow:
        for _ in range(BUSY):
            _reader, writer = await slow.enter_async_context(connection(server_address, receive_buffer=4096))
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(head("/v1/audio/speech", len(body), key) + body)
        async with asyncio.timeout(10):
            while controller._inside < BUSY:
                await asyncio.sleep(0)
            while controller._inside:
                await asyncio.sleep(0.1)
        assert controller.wait_s < 1.0
        assert not await LedgerEntry.objects.aexists(), "they were served to the end"
    async with asyncio.timeout(10):
        while await LedgerEntry.objects.acount() < BUSY:
            await asyncio.sleep(0.1)


def test_paused_work_does_not_count() -> None:
    controller = AdmissionController(longest_s=1.0, most=1, cost_per_byte=1.0, max_counted_cost=100.0)
    admitted = controller.enter(10)
    assert controller.is_full
    admitted.pause()
    assert not controller.is_full
    admitted.resume()
    assert controller.is_full
    admitted.pause()
    admitted.leave(done=True)
    assert not controller.is_full
