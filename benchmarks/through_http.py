"""The work as clients ask for it: over HTTP, from a process of its own, with keys, ledger and all.

The bodies are made beforehand: the clients share the machine with the server, and their time is not what is measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.report import Result
from benchmarks.work import SENTENCES, clips, closed_loop
from tests.services import Served, served

WARM_UP_S = 1.0
_BOUNDARY = "a-boundary-that-is-in-no-clip"

Ask = Callable[[int], Coroutine[Any, Any, "Answer"]]  # makes the numbered request


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.status == 200 and bool(self.body)


async def measure(direction: str, folder: Path, *, concurrency: int, seconds: float) -> Result:
    with served(folder, VOICE_TTS_CACHE_BYTES="0", VOICE_LOG_LEVEL="WARNING") as service:
        async with session(service.headers(), concurrency) as client:
            ask = asr(client, service.url) if direction == "asr" else tts(client, service.url)

            async def call(number: int) -> bool:
                return (await ask(number)).succeeded

            await closed_loop(call, concurrency=concurrency, seconds=WARM_UP_S)
            before = cpu_s(service)
            result = await closed_loop(call, concurrency=concurrency, seconds=seconds)
            result.cpu_s = cpu_s(service) - before
            return result


def session(headers: dict[str, str], connections: int, timeout_s: float = 300) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    )


def asr(client: aiohttp.ClientSession, url: str) -> Ask:
    bodies = [_form(clip) for clip in clips()]
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return lambda number: _post(client, f"{url}/v1/audio/transcriptions", bodies[number % len(bodies)], headers)


def tts(client: aiohttp.ClientSession, url: str) -> Ask:
    requests = [{"model": "tts-1", "voice": "alloy", "input": f"{text.capitalize()}."} for text in SENTENCES]
    bodies = [json.dumps(request).encode() for request in requests]
    headers = {"Content-Type": "application/json"}
    return lambda number: _post(client, f"{url}/v1/audio/speech", bodies[number % len(bodies)], headers)


async def _post(client: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]) -> Answer:
    async with client.post(url, data=body, headers=headers) as answer:
        return Answer(answer.status, await answer.read(), answer.headers)


def _form(clip: bytes) -> bytes:
    fields = (
        (b'name="file"; filename="clip.wav"\r\nContent-Type: audio/wav', clip),
        (b'name="model"', b"whisper-1"),
        (b'name="language"', b"ms"),
    )
    boundary = _BOUNDARY.encode()
    parts = [
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary, head, value) for head, value in fields
    ]
    return b"".join([*parts, b"--%b--\r\n" % boundary])


def cpu_s(service: Served) -> float:
    """Processor time that the server has used so far."""
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
