"""Measure the latency and memory of live recognition, with simulated users who stream audio in real time.

    python -m tools.benchmarks.live_recognition [--model MODEL] [--recordings DIRECTORY] [streams ...]

Each stream sends synthetic sentences with pauses, or the recordings that a directory's ``manifest.jsonl`` lists (as for
``manage.py evaluate_asr``). For each number of streams, the output shows:

- the time from the start of an utterance to its first partial result;
- the time from the end of the silence that ends an utterance to its final result;
- the server's memory per open stream;
- with recordings, how many words differ from the transcript of the same recordings sent as files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import connect

from tools.benchmarks import environment

environment.prepare()

from asr.audio import decode  # noqa: E402
from asr.evaluation import read_manifest  # noqa: E402
from spoken_text.error_rate import Errors, compare  # noqa: E402
from tests import sound  # noqa: E402
from tests.services import Served, served  # noqa: E402
from tools.benchmarks.report import Result  # noqa: E402
from tools.benchmarks.workload import SENTENCES  # noqa: E402

CHUNK_MS = 40
SILENCE_MS = 500
PADDING_MS = 300  # ms between the reported start of an utterance and the start of its speech
PAUSE_S = 2.0
UTTERANCES = 5
LONGEST_RECORDING_S = 60


@dataclass(frozen=True)
class Talk:
    """Audio to send on a stream.

    ``audio``: the samples, at ``sound.RATE``.
    ``language``: the spoken language.
    ``name``: the path of the recording; "" for a synthetic sentence.
    """

    audio: sound.Audio
    language: str = "ms"
    name: str = ""


@dataclass
class Measured:
    """Measurements of live recognition.

    ``first_partial``: seconds from the start of each utterance to its first partial result.
    ``final``: seconds from the end of the silence after each utterance to its final result.
    ``utterances``: how many utterances began.
    ``bytes_per_stream``: the server's additional memory per open stream, in bytes.
    ``stable``: how many words the last partial results reported as stable.
    ``changed``: how many of these words are different in the final results.
    ``words``: the transcript of each recording, keyed by the recording's path.
    """

    first_partial: Result = field(default_factory=Result)
    final: Result = field(default_factory=Result)
    utterances: int = 0
    bytes_per_stream: float = 0.0
    stable: int = 0
    changed: int = 0
    words: dict[str, str] = field(default_factory=dict)


class Speaker:
    """A simulated user with one connection, who sends audio in real time and records when events arrive."""

    def __init__(self, socket: Any, measured: Measured) -> None:
        self._socket = socket
        self._measured = measured
        self._began = 0.0  # when the stream's clock started
        self._sent = 0  # samples
        self._stable: dict[int, list[str]] = {}
        self._times: dict[int, float] = {}  # monotonic time of each utterance's start or, after it, its end
        self._heard: list[tuple[int, str]] = []  # start in ms of the stream, and text of each final
        self._said: list[tuple[int, str]] = []  # start in ms of the stream, and path of each recording

    async def say(self, talk: Talk) -> None:
        """Send the audio of ``talk`` in real time, followed by ``PAUSE_S`` of silence."""
        audio = np.concatenate([talk.audio, sound.silence(PAUSE_S)])
        size = CHUNK_MS * sound.RATE // 1000
        self._began = self._began or time.monotonic()
        first_ms = 1000 * self._sent // sound.RATE
        for at in range(0, len(audio), size):
            chunk = audio[at : at + size]
            self._sent += len(chunk)
            # A microphone delivers a chunk after its last sample.
            await asyncio.sleep(max(0.0, self._began + self._sent / sound.RATE - time.monotonic()))
            await self._socket.send(np.clip(np.rint(chunk * 32_768), -32_768, 32_767).astype("<i2").tobytes())
        if talk.name:
            self._said.append((first_ms, talk.name))

    async def listen(self) -> None:
        """Record events until the server closes the connection, then assign the transcripts to the recordings."""
        async for message in self._socket:
            event = json.loads(message)
            self._note(event, event.get("utterance", -1), time.monotonic())
        ends: list[float] = [first_ms for first_ms, _name in self._said] + [math.inf]
        for (first_ms, name), end_ms in zip(self._said, ends[1:], strict=True):
            texts = [text for at, text in self._heard if first_ms - PADDING_MS <= at < end_ms - PADDING_MS]
            self._measured.words.setdefault(name, " ".join(texts))

    def _note(self, event: dict[str, Any], number: int, now: float) -> None:
        match event["type"]:
            case "speech_started":
                self._times[number] = self._began + (event["at_ms"] + PADDING_MS) / 1000
                self._measured.utterances += 1
            case "partial":
                if number not in self._stable:
                    self._measured.first_partial.latencies_s.append(now - self._times[number])
                self._stable[number] = event["stable"].split()
            case "speech_stopped":
                self._times[number] = self._began + event["at_ms"] / 1000
            case "final":
                self._measured.final.latencies_s.append(now - self._times[number])
                self._heard.append((event["start_ms"], event["text"]))
                words = event["text"].split()
                stable = self._stable.get(number, [])
                self._measured.stable += len(stable)
                self._measured.changed += sum(a != b for a, b in zip(stable, words, strict=False))
            case "error":
                self._measured.final.failures += 1


async def measure(service: Served, talks: Sequence[Sequence[Talk]]) -> Measured:
    """Run one stream for each item of ``talks``, all at the same time, and return the measurements."""
    measured = Measured()
    before = memory(service)
    opened = asyncio.Barrier(len(talks) + 1)
    done = asyncio.Event()
    tasks = [
        asyncio.create_task(stream(service, number, said, measured, opened, done)) for number, said in enumerate(talks)
    ]
    await opened.wait()  # all streams have sent all their audio
    measured.bytes_per_stream = (memory(service) - before) / len(talks)
    done.set()
    await asyncio.gather(*tasks)
    return measured


async def stream(
    service: Served,
    number: int,
    talks: Sequence[Talk],
    measured: Measured,
    opened: asyncio.Barrier,
    done: asyncio.Event,
) -> None:
    """Open a stream, send all its audio in real time, and stop it once ``done`` is set.

    ``number``: the stream's number. It determines the user's id and a delay before the first audio.
    ``talks``: the audio to send, all in the language of the first item.
    ``measured``: receives the measurements.
    ``opened``: the barrier that this stream reaches when it has sent all its audio.
    """
    headers = service.headers(**{"X-Voice-User": f"user-{number}"})
    async with connect(service.url.replace("http", "ws") + "/ws/asr", additional_headers=headers) as socket:
        start = {"type": "start", "sample_rate": 16_000, "words": False, "language": talks[0].language}
        await socket.send(json.dumps(start | {"turn_detection": {"silence_duration_ms": SILENCE_MS}}))
        await socket.recv()
        speaker = Speaker(socket, measured)
        listening = asyncio.create_task(speaker.listen())
        await asyncio.sleep(PAUSE_S * number / 20)  # the streams do not start together
        for talk in talks:
            await speaker.say(talk)
        await opened.wait()
        await done.wait()
        await socket.send(json.dumps({"type": "stop"}))
        await listening


def memory(service: Served) -> int:
    """Return the server's resident memory in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def sentences(streams: int, turns: int) -> list[list[Talk]]:
    """Return ``turns`` synthetic sentences for each of ``streams`` streams."""
    return [
        [Talk(sound.said(SENTENCES[(number + turn) % len(SENTENCES)])) for turn in range(turns)]
        for number in range(streams)
    ]


def recordings(directory: Path, streams: int, limit: int) -> list[list[Talk]]:
    """Return the recordings that each stream sends.

    A stream has only one language. With one stream, return a list of recordings for each language; the lists are then
    streamed one after the other. With more streams, divide the recordings of the most frequent language between them.

    ``limit``: how many recordings of the directory to use at most.
    """
    by_language: dict[str, list[Talk]] = {}
    for reference in read_manifest(directory)[:limit]:
        recording = decode(reference.audio.read_bytes(), max_duration_s=LONGEST_RECORDING_S)
        audio = recording.float32(0, len(recording.samples))
        talk = Talk(audio, reference.language or "ms", str(reference.audio))
        by_language.setdefault(talk.language, []).append(talk)
    if streams == 1:
        return list(by_language.values())
    most = max(by_language.values(), key=len)
    return [most[number::streams] or most for number in range(streams)]


async def as_files(service: Served, talks: Sequence[Talk]) -> dict[str, str]:
    """Send each recording as a file, and return the transcripts, keyed by the recordings' paths."""
    words = {}
    async with httpx.AsyncClient(base_url=service.url, headers=service.headers(), timeout=120) as client:
        for talk in talks:
            files = {"file": (Path(talk.name).name, await asyncio.to_thread(Path(talk.name).read_bytes))}
            form = {"model": "whisper-1", "language": talk.language}
            answer = await client.post("/v1/audio/transcriptions", files=files, data=form)
            words[talk.name] = answer.raise_for_status().json()["text"]
    return words


async def report(streams: int, options: argparse.Namespace) -> None:
    """Start a service, run ``streams`` streams at once, and print the measurements."""
    settings = {"VOICE_LOG_LEVEL": "WARNING"} | ({"VOICE_ASR_MODEL": options.model} if options.model else {})
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), **settings) as service:
        await measure(service, sentences(streams, 1))  # warm up; later growth is the memory of the streams
        groups = [sentences(streams, UTTERANCES)]
        if options.recordings:
            talks = recordings(options.recordings, streams, options.limit)
            # Each language needs a separate stream. With one stream at a time, the languages follow one another.
            groups = [[said] for said in talks] if streams == 1 else [talks]
        for group in groups:
            measured = await measure(service, group)
            print_measured(streams, measured, group[0][0].language)
            if measured.words:
                whole = await as_files(service, [talk for said in group for talk in said])
                print_words(measured.words, whole, group[0][0].language)


def print_words(live: dict[str, str], whole: dict[str, str], language: str) -> None:
    """Print how many words differ between the live transcripts and those of the same recordings sent as files.

    ``live``: the live transcripts, keyed by the recording's path.
    ``whole``: the transcripts of the files, keyed by the recording's path.
    """
    found: dict[str, Errors] = {
        name: compare(text, live.get(name, ""), language) for name, text in whole.items() if text.strip()
    }
    wrong = sum(errors.count for errors in found.values())
    words = sum(errors.words for errors in found.values())
    same = sum(not errors.count for errors in found.values())
    print(f"         {wrong} of {words} words differ from the files'; {same} of {len(found)} recordings have the same")
    for name, errors in found.items():
        if errors.count:
            print(f"         {Path(name).name}\n           file  {whole[name]}\n           live  {live.get(name, '')}")


def print_measured(streams: int, measured: Measured, language: str) -> None:
    partial = [measured.first_partial.percentile_ms(percent) for percent in (50, 95)]
    final = [measured.final.percentile_ms(percent) for percent in (50, 95)]
    print(
        f"{streams:>8}{language:>5}{partial[0]:>12.0f} /{partial[1]:>6.0f}{final[0]:>14.0f} /{final[1]:>6.0f}"
        f"{len(measured.first_partial.latencies_s):>8} of {measured.utterances:<4}"
        f"{measured.bytes_per_stream / 1024:>10.0f}{measured.final.failures:>8}"
    )
    print(f"         {measured.changed} of {measured.stable} stable words were different in the final result")


async def main(options: argparse.Namespace) -> None:
    print(environment.machine())
    columns = {"streams": 8, "first partial": 25, "final beyond silence": 22, "partials": 16, "KiB/stream": 11}
    print("".join(name.rjust(width) for name, width in columns.items()) + "  failed")
    for streams in options.streams:
        await report(streams, options)
    print("ms, p50 / p95; a turn ends after", SILENCE_MS, "ms of silence, which are not in the final's time")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m tools.benchmarks.live_recognition", description=__doc__.splitlines()[0]
    )
    found.add_argument("streams", type=int, nargs="*", default=[1, 50])
    found.add_argument("--model", help="VOICE_ASR_MODEL of the service (default: as configured)")
    found.add_argument("--recordings", type=Path, help="directory with a manifest.jsonl of real speech")
    found.add_argument("--limit", type=int, default=20, help="only the first so many recordings")
    return found


if __name__ == "__main__":
    asyncio.run(main(parser().parse_args()))
