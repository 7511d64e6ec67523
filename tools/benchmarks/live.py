"""Live recognition as people use it: streams in real time, from a process of its own.

    python -m tools.benchmarks.live [streams ...]

Each stream says sentences with pauses between them. Printed per number of streams: from the first sound of an utterance
to its first partial, from its last sound to its final (the silence that ends a turn included, and without it), and what
an open stream costs the server in memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from tools.benchmarks import environment

environment.prepare()

from tests import sound  # noqa: E402
from tests.services import Served, served  # noqa: E402
from tools.benchmarks.report import Result  # noqa: E402
from tools.benchmarks.work import SENTENCES  # noqa: E402

CHUNK_MS = 40
SILENCE_MS = 500
PAUSE_S = 2.0
UTTERANCES = 5
LOUD = 0.01


@dataclass
class Measured:
    first_partial: Result = field(default_factory=Result)
    final: Result = field(default_factory=Result)
    bytes_per_stream: float = 0.0
    words: int = 0
    changed: int = 0  # stable words that the final has otherwise


@dataclass
class Utterance:
    """Wall-clock times of its first and last sound."""

    began: float = 0.0
    ended: float = 0.0


async def measure(service: Served, streams: int, turns: int = UTTERANCES) -> Measured:
    measured = Measured()
    before = memory(service)
    opened, done = asyncio.Barrier(streams + 1), asyncio.Event()
    tasks = [asyncio.create_task(stream(service, number, measured, turns, opened, done)) for number in range(streams)]
    await opened.wait()  # all have said all of it
    measured.bytes_per_stream = (memory(service) - before) / streams
    done.set()
    await asyncio.gather(*tasks)
    return measured


async def stream(
    service: Served, number: int, measured: Measured, turns: int, opened: asyncio.Barrier, done: asyncio.Event
) -> None:
    headers = service.headers(**{"X-Voice-User": f"user-{number}"})
    async with connect(service.url.replace("http", "ws") + "/ws/asr", additional_headers=headers) as socket:
        start = {"type": "start", "sample_rate": 16_000, "language": "ms", "words": False}
        await socket.send(json.dumps(start | {"turn_detection": {"silence_duration_ms": SILENCE_MS}}))
        await socket.recv()
        said: list[Utterance] = []
        listening = asyncio.create_task(listen(socket, said, measured))
        await asyncio.sleep(PAUSE_S * number / 20)  # people do not start together
        for turn in range(turns):
            await say(socket, sound.said(SENTENCES[(number + turn) % len(SENTENCES)]), said)
        await opened.wait()
        await done.wait()
        await socket.send(json.dumps({"type": "stop"}))
        await listening


async def say(socket: Any, speech: sound.Audio, said: list[Utterance]) -> None:
    loud = np.flatnonzero(np.abs(speech) > LOUD)
    audio = np.concatenate([speech, sound.silence(PAUSE_S)])
    size = CHUNK_MS * sound.RATE // 1000
    started = time.monotonic()
    now = Utterance(started + loud[0] / sound.RATE, started + loud[-1] / sound.RATE)
    said.append(now)
    for index, at in enumerate(range(0, len(audio), size)):
        # A microphone hands over a chunk when its last sample has been heard.
        await asyncio.sleep(max(0.0, started + (index + 1) * CHUNK_MS / 1000 - time.monotonic()))
        await socket.send((np.clip(audio[at : at + size], -1, 1) * 32_767).astype("<i2").tobytes())


async def listen(socket: Any, said: list[Utterance], measured: Measured) -> None:
    stable: list[str] = []
    waiting = True
    async for message in socket:
        event, now = json.loads(message), time.monotonic()
        if event["type"] == "speech_started":
            waiting, stable = True, []
        elif event["type"] == "partial":
            stable = event["stable"].split()
            if waiting:
                measured.first_partial.latencies_s.append(now - said[-1].began)
                waiting = False
        elif event["type"] == "final":
            measured.final.latencies_s.append(now - said[-1].ended)
            words = event["text"].split()
            measured.words += len(stable)
            measured.changed += sum(a != b for a, b in zip(stable, words, strict=False))
        elif event["type"] == "error":
            measured.final.failures += 1


def memory(service: Served) -> int:
    """Resident bytes of the server."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


async def main(numbers: list[int]) -> None:
    print(environment.machine())
    print(f"{'streams':>8}{'first partial':>20}{'final':>16}{'beyond silence':>18}{'KiB/stream':>12}{'failed':>8}")
    for streams in numbers:
        with tempfile.TemporaryDirectory() as folder, served(Path(folder), VOICE_LOG_LEVEL="WARNING") as service:
            await measure(service, streams, turns=1)  # warm up: what is left then is the streams' own memory
            measured = await measure(service, streams)
        partial = [measured.first_partial.percentile_ms(percent) for percent in (50, 95)]
        final = [measured.final.percentile_ms(percent) for percent in (50, 95)]
        print(
            f"{streams:>8}{partial[0]:>12.0f} /{partial[1]:>6.0f}{final[0]:>8.0f} /{final[1]:>6.0f}"
            f"{final[0] - SILENCE_MS:>10.0f} /{final[1] - SILENCE_MS:>6.0f}"
            f"{measured.bytes_per_stream / 1024:>12.0f}{measured.final.failures:>8}"
        )
        print(f"         {measured.changed} of {measured.words} stable words were otherwise in the final")
    print("ms, p50 / p95; the final's time includes the turn's silence of", SILENCE_MS, "ms")


if __name__ == "__main__":
    asyncio.run(main([int(argument) for argument in sys.argv[1:]] or [1, 50]))
