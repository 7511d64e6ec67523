"""Measure HTTP requests to a service in another process, with API keys and ledger as in production."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from tests.services import Served, served
from tools.benchmarks.client import Answer, Client
from tools.benchmarks.report import Result
from tools.benchmarks.workload import SENTENCES, Call, clips, closed_loop, said

WARM_UP_S = 1.0
_BOUNDARY = "a-boundary-that-is-in-no-clip"

Ask = Callable[[int], Coroutine[Any, Any, Answer]]  # sends the request with this number


async def measure(direction: str, folder: Path, *, concurrency: int, seconds: float) -> Result:
    """Start a service, send HTTP requests in a closed loop, and return the result with the server's CPU seconds.

    ``direction``: "asr" or "tts".
    ``folder``: the folder for the service's state.
    ``concurrency``: how many callers there are.
    ``seconds``: how long they send requests.
    """
    with served(folder, VOICE_TTS_CACHE_BYTES="0", VOICE_LOG_LEVEL="WARNING") as service:
        async with Client(service.url, service.headers()) as client:
            call = succeeds(asr(client) if direction == "asr" else tts(client))
            await closed_loop(call, concurrency=concurrency, seconds=WARM_UP_S)
            before = cpu_s(service)
            result = await closed_loop(call, concurrency=concurrency, seconds=seconds)
            result.cpu_s = cpu_s(service) - before
            return result


def succeeds(ask: Ask) -> Call:
    """Return a function that sends a request with ``ask`` and returns True if the request succeeded.

    After a failure, the function waits for the seconds in the response's ``Retry-After`` before it returns.
    """

    async def call(number: int) -> bool:
        answer = await ask(number)
        if not answer.succeeded:
            await asyncio.sleep(float(answer.headers.get("retry-after", "0")))
        return answer.succeeded

    return call


def asr(client: Client) -> Ask:
    """Return a function that sends a request to transcribe a clip.

    The argument of the function is the number of the request. The clips are used in turn.
    """
    forms = [form(clip, {"model": "whisper-1", "language": "ms"}) for clip in clips()]
    requests = [
        client.request("POST", "/v1/audio/transcriptions", {"Content-Type": kind}, body) for kind, body in forms
    ]
    return lambda number: client.send(requests[number % len(requests)])


def tts(client: Client) -> Ask:
    """Return a function that sends a request to speak a sentence.

    The argument of the function is the number of the request. The sentences are used in turn.
    """
    headers = {"Content-Type": "application/json"}
    bodies = [
        json.dumps({"model": "tts-1", "voice": "alloy", "input": said(number)}).encode()
        for number in range(len(SENTENCES))
    ]
    requests = [client.request("POST", "/v1/audio/speech", headers, body) for body in bodies]
    return lambda number: client.send(requests[number % len(requests)])


def form(clip: bytes, fields: Mapping[str, str]) -> tuple[str, bytes]:
    """Return the content type and the body of a multipart form that uploads a WAV file.

    ``clip``: the bytes of the WAV file.
    ``fields``: the other fields of the form.
    """
    parts = [('Content-Disposition: form-data; name="file"; filename="clip.wav"\r\nContent-Type: audio/wav', clip)]
    parts += [(f'Content-Disposition: form-data; name="{name}"', value.encode()) for name, value in fields.items()]
    boundary = _BOUNDARY.encode()
    body = b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head.encode(), value) for head, value in parts)
    return f"multipart/form-data; boundary={_BOUNDARY}", body + b"--%b--\r\n" % boundary


def cpu_s(service: Served) -> float:
    """Return the CPU seconds that the server's process has used so far."""
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
