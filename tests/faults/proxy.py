"""A TCP proxy that makes the connections to a server fail as they do in real networks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from tests.dependencies import lasting_port

SLOW_S = 0.2  # delay of every piece of data
PIECE_BYTES = 65_536


class State(StrEnum):
    THERE = "there"
    GONE = "gone"  # nothing listens: connections are refused, and open ones are reset
    REFUSING = "refusing"  # connections are accepted and closed at once
    SILENT = "silent"  # connections are accepted and stay open, but no data passes
    SLOW = "slow"  # all data passes, each piece ``SLOW_S`` late


class Proxy:
    """A proxy that listens on ``port`` and forwards to ``target_port``, both on this machine."""

    def __init__(self, target_port: int) -> None:
        self.port = lasting_port()
        self._target_port = target_port
        self._state = State.THERE
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def put(self, state: State) -> None:
        """Change to another state. Data that was held back in the state ``SILENT`` is then forwarded."""
        self._state = state
        if state is State.SILENT:
            self._may_pass.clear()
        else:
            self._may_pass.set()
        if state in (State.GONE, State.REFUSING):
            self._cut()
        if state is State.GONE:
            await self._stop_listening()
        elif self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def close(self) -> None:
        self._cut()
        await self._stop_listening()

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state is State.REFUSING:
            writer.close()
            return
        await self._may_pass.wait()
        try:
            theirs, to_them = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, to_them}
        await asyncio.gather(self._hand_on(reader, to_them), self._hand_on(theirs, writer))
        self._open -= {writer, to_them}

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                if self._state is State.SLOW:
                    await asyncio.sleep(SLOW_S)
                await self._may_pass.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(target_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(target_port)
    await proxy.put(State.THERE)
    try:
        yield proxy
    finally:
        await proxy.close()
