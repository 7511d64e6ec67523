"""Hostile clients in a separate process, so their CPU use does not count as the service's.

    python -m tests.hostile.attackers http://127.0.0.1:8000 KEY [KIND ...]

The program runs until its standard input closes. Then it prints the number of attacks and the statuses of the
responses.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.asr.audiofiles import flac_bomb
from tests.services import ROOT, Served

LONG_TEXT = "Selamat pagi semua, apa khabar hari ini? " * 20
TABLE = "|" + "a|" * 500 + "\n" + "|" + "-|" * 500 + "\n" + ("|1" * 500 + "|\n") * 2
GONE = (OSError, httpx.HTTPError, WebSocketException, asyncio.IncompleteReadError)


class Attackers:
    """Attacks a service in several ways.

    ``done``: the number of attacks by kind.
    ``answers``: the number of responses by status.
    """

    def __init__(self, url: str, key: str) -> None:
        self.done: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "X-Voice-User": "hostile"}
        self._clip = flac_bomb(frames=4)

    def tasks(self, only: Sequence[str] = ()) -> list[asyncio.Task[None]]:
        """Start the attacks of all kinds, or only of the kinds in ``only``; return their tasks."""
        kinds: list[tuple[Callable[[], Awaitable[None]], int, float]] = [
            (self.slow_head, 20, 0.1),
            (self.slow_body, 20, 0.1),
            (self.slow_reader, 2, 1.0),
            (self.flood, 4, 0.05),
            (self.bomb, 1, 1.0),
            (self.abandoned_request, 2, 1.0),
            (self.abandoned_socket, 4, 0.5),
        ]
        wanted = [kind for kind in kinds if not only or kind[0].__name__ in only]
        return [asyncio.create_task(self._again(act, pause_s)) for act, many, pause_s in wanted for _ in range(many)]

    async def _again(self, act: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            with suppress(*GONE):
                await act()
            self.done[act.__name__] += 1
            await asyncio.sleep(pause_s)

    async def slow_head(self) -> None:
        """Send one header after another, and never end the list of headers."""
        await self._drip(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n", b"X-More: 1\r\n")

    async def slow_body(self) -> None:
        """Send all headers, including a key, and then one byte of the body per second."""
        await self._drip(self._head(100_000), b" ")

    async def slow_reader(self) -> None:
        """Request a long speech, and do not read the response."""
        writer = await self._ask(LONG_TEXT)
        try:
            await asyncio.sleep(15)
        finally:
            writer.close()

    async def flood(self) -> None:
        """Send many requests with bodies, but without a valid key."""
        async with httpx.AsyncClient(timeout=10) as client:
            url = f"{self._url}/v1/audio/transcriptions"
            headers = {"Authorization": "Bearer vk_nobody"}
            for _ in range(50):
                answer = await client.post(url, headers=headers, files={"file": b"\0" * 20_000})
                self.answers[answer.status_code] += 1
                await asyncio.sleep(0.05)

    async def bomb(self) -> None:
        """Send small requests that cause much work."""
        async with httpx.AsyncClient(timeout=60, base_url=self._url, headers=self._headers) as client:
            files = {"file": ("a.flac", self._clip)}
            answer = await client.post("/v1/audio/transcriptions", files=files, data={"model": "whisper-1"})
            self.answers[answer.status_code] += 1
            answer = await client.post("/v1/audio/speech", json={"model": "tts-1", "input": TABLE[:4096]})
            self.answers[answer.status_code] += 1

    async def abandoned_request(self) -> None:
        """Send a request, and close the connection before the response."""
        writer = await self._ask(LONG_TEXT)
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async def abandoned_socket(self) -> None:
        """Start to stream text to be spoken, and break the connection."""
        url = self._url.replace("http", "ws")
        async with connect(f"{url}/ws/tts", additional_headers=self._headers) as socket:
            await socket.send(json.dumps({"type": "start"}))
            await socket.send(json.dumps({"type": "text", "text": "Selamat pagi. Apa khabar? "}))
            await asyncio.sleep(0.05)
            socket.transport.abort()

    async def _ask(self, text: str) -> asyncio.StreamWriter:
        body = json.dumps({"model": "tts-1", "input": text}).encode()
        writer = await self._connected()
        writer.write(self._head(len(body)) + body)
        await writer.drain()
        return writer

    async def _drip(self, first: bytes, then: bytes) -> None:
        writer = await self._connected()
        try:
            writer.write(first)
            while not writer.is_closing():
                await asyncio.sleep(1)
                writer.write(then)
                await writer.drain()
        finally:
            writer.close()

    async def _connected(self) -> asyncio.StreamWriter:
        address = urlsplit(self._url)
        assert address.hostname is not None
        _reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
        return writer

    def _head(self, length: int) -> bytes:
        lines = [
            "POST /v1/audio/speech HTTP/1.1",
            "Host: voice",
            *(f"{name}: {value}" for name, value in self._headers.items()),
            "Content-Type: application/json",
            f"Content-Length: {length}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Attack:
    """An attack and its results.

    ``done``: the number of attacks by kind, filled in at the end.
    ``answers``: the number of responses by status, filled in at the end.
    ``process``: the process of the hostile clients.
    """

    done: dict[str, int] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None


@asynccontextmanager
async def attacked(service: Served, *kinds: str) -> AsyncIterator[Attack]:
    """Attack a service within this context; yield the attack.

    ``kinds``: the kinds of attacks; all kinds if none is given.
    """
    attack = Attack()
    process = attack.process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.attackers", service.url, service.key, *kinds),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield attack
    finally:
        output, _nothing = await asyncio.wait_for(process.communicate(b""), 30)
    report = json.loads(output)
    attack.done = report["done"]
    attack.answers = {int(status): count for status, count in report["answers"].items()}


async def _attack(url: str, key: str, *kinds: str) -> None:
    attackers = Attackers(url, key)
    tasks = attackers.tasks(kinds)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({"done": attackers.done, "answers": attackers.answers}))


if __name__ == "__main__":
    asyncio.run(_attack(*sys.argv[1:]))
