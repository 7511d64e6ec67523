"""Measure live text to speech as a chat uses it: the text arrives in small pieces, and audio is streamed back.

    python -m tools.benchmarks.live_speech

The output shows the time from the end of the first sentence's text to its first audio, and the time from a cancellation
to its confirmation. The server has no other load.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from tools.benchmarks import environment

environment.prepare()

from tests.services import Served, served  # noqa: E402
from tools.benchmarks.report import Result  # noqa: E402
from tools.benchmarks.workload import SENTENCES  # noqa: E402

ROUNDS = 30


async def until(socket: ClientConnection, kind: str | None) -> None:
    """Read messages until the event ``kind`` arrives. If ``kind`` is None, read until audio arrives."""
    while True:
        message = await socket.recv()
        if (kind is None) == isinstance(message, bytes) and (kind is None or json.loads(message)["type"] == kind):
            return


async def one(service: Served, sentence: str, first: Result, silence: Result) -> None:
    """Speak one sentence, then cancel, and add the two measured latencies to the results.

    ``first``: receives the seconds from the end of the sentence's text to its first audio.
    ``silence``: receives the seconds from the cancellation to its confirmation.
    """
    async with connect(service.url.replace("http", "ws") + "/ws/tts", additional_headers=service.headers()) as socket:
        await socket.send(json.dumps({"type": "start"}))
        await until(socket, "ready")
        text = f"{sentence.capitalize()}. Dan "
        for start in range(0, len(text), 6):
            await socket.send(json.dumps({"type": "text", "text": text[start : start + 6]}))
        asked = time.perf_counter()
        await until(socket, None)
        first.latencies_s.append(time.perf_counter() - asked)
        await asyncio.sleep(0.3)
        asked = time.perf_counter()
        await socket.send(json.dumps({"type": "cancel"}))
        await until(socket, "cancelled")
        silence.latencies_s.append(time.perf_counter() - asked)


async def main() -> None:
    print(environment.machine())
    first = Result()
    silence = Result()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), VOICE_LOG_LEVEL="WARNING") as service:
        for number in range(ROUNDS + 2):
            if number == 2:  # the first two rounds are the warm-up
                first = Result()
                silence = Result()
            await one(service, SENTENCES[number % len(SENTENCES)], first, silence)
    for name, result in (("text -> first audio", first), ("cancel -> silence", silence)):
        print(f"{name:<22} p50 {result.percentile_ms(50):6.1f} ms   p95 {result.percentile_ms(95):6.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
