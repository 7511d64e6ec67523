"""Unit servers for tests, on this process's event loop and real sockets, with a handler that the test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import uvicorn

from conftest import InProcessServer
from inference.engine import EngineStats
from inference.unit_server import TierStatus, UnitServer
from inference.wire import Reply

IDLE = EngineStats(True, 0, 0, 0, 0, 0, 0.0, 0.0, backlog_s=1.5, seconds_per_cost=0.02)


class ScriptedUnitHandler:
    """The unit handler of a tier with a single engine, ``espeak-ng``.

    ``reply``: returns the reply to a frame.
    ``frames``: the frames received.
    ``cancelled``: the number of cancelled frames.
    ``gpus``: the GPUs to report in the tier's status.
    ``replicas``: the replicas to report in the tier's status.
    """

    __test__ = False

    def __init__(self, reply: Callable[[bytes], Any]) -> None:
        self.frames: list[bytes] = []
        self.cancelled = 0
        self.gpus: list[dict[str, Any]] = []
        self.replicas: dict[str, dict[str, Any]] = {}
        self._reply = reply

    async def answer(self, name: str, frame: bytes) -> Reply:
        self.frames.append(frame)
        try:
            return await self._reply(frame)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def status(self) -> TierStatus:
        return TierStatus({"espeak-ng": [{"process": "test", **asdict(IDLE)}]}, self.gpus, self.replicas)

    async def about(self) -> dict[str, dict[str, Any]]:
        return {"espeak-ng": {"voices": []}}


@asynccontextmanager
async def serving(application: Any) -> AsyncIterator[str]:
    """Serve an ASGI application; yield its address."""
    server = InProcessServer(uvicorn.Config(application, port=0, log_config=None, access_log=False, lifespan="auto"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done(), "the server did not start"
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await task


@asynccontextmanager
async def handler(reply: Callable[[bytes], Any]) -> AsyncIterator[tuple[ScriptedUnitHandler, str]]:
    made = ScriptedUnitHandler(reply)
    async with serving(UnitServer(made)) as url:
        yield made, url
