"""A WebSocket client for tests, which keeps all events that it receives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway import streams
from gateway.lifecycle import lifecycle
from tests import sound
from usage.models import LedgerEntry, OpenStream

START = {"type": "start", "sample_rate": 16_000, "language": "ms"}
CHUNK_BYTES = 3_200  # 100 ms at 16 kHz
PATIENCE_S = 30.0
SENTENCE = "selamat pagi semua"
TALK = sound.joined([sound.silence(0.3), sound.said(SENTENCE), sound.silence(0.8)])


def pcm16(audio: sound.Audio) -> bytes:
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()


class Client:
    """A client with an open WebSocket connection, in ``connection``.

    ``events``: the JSON messages received so far.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []

    async def send(self, message: Mapping[str, Any] | bytes | str) -> None:
        await self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    async def speak(self, audio: sound.Audio, pause_s: float = 0.0) -> None:
        data = pcm16(audio)
        for start in range(0, len(data), CHUNK_BYTES):
            await self.send(data[start : start + CHUNK_BYTES])
            await asyncio.sleep(pause_s)

    async def event(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            event = json.loads(await self.connection.recv())
        self.events.append(event)
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        while (event := await self.event())["type"] != kind:
            pass
        return event

    async def close_code(self) -> int:
        """Read until the server closes the connection; return the close code."""
        try:
            while True:
                await self.event()
        except ConnectionClosed:
            pass
        assert self.connection.close_code is not None
        return self.connection.close_code

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def error(self) -> dict[str, Any]:
        """The error in the last error event."""
        return self.of("error")[-1]["error"]


@asynccontextmanager
async def opened(
    address: str, key: str | None, *, path: str = "/ws/asr", headers: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Client]:
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    url = address.replace("http://", "ws://") + path
    async with connect(url, additional_headers=sent | dict(headers or {}), max_size=None, **options) as connection:
        yield Client(connection)


async def quiet() -> None:
    """Wait until this process has no open stream, then check that no stream slot and no ``OpenStream`` row is left."""
    for _ in range(1500):
        if lifecycle().requests == 0:
            break
        await asyncio.sleep(0.02)
    assert lifecycle().requests == 0
    assert not cast(streams.MemoryStreamLimiter, streams.stream_limiter()).taken
    assert not await OpenStream.objects.aexists()


async def rows() -> list[LedgerEntry]:
    """Wait until this process has no open stream; return the rows of the ledger."""
    await quiet()
    return [row async for row in LedgerEntry.objects.order_by("id")]


async def whole(address: str, key: str, audio: sound.Audio, **start: Any) -> Client:
    """Send ``start``, a clip and ``stop``, read until the server closes the connection, and return the client."""
    async with opened(address, key) as client:
        await client.send(START | start)
        await client.speak(audio)
        await client.send({"type": "stop"})
        await client.close_code()
        return client
