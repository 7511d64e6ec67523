"""The work as clients ask for it: over HTTP, from a process of its own, with keys, ledger and all."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from benchmarks.report import Result
from benchmarks.work import SENTENCES, Call, clips, closed_loop
from tests.services import Served, served

WARM_UP_S = 1.0


async def measure(direction: str, folder: Path, *, concurrency: int, seconds: float) -> Result:
    with served(folder, VOICE_TTS_CACHE_BYTES="0", VOICE_LOG_LEVEL="WARNING") as service:
        connector = aiohttp.TCPConnector(limit=concurrency)
        async with aiohttp.ClientSession(connector=connector, headers=service.headers()) as session:
            call = _asr(session, service) if direction == "asr" else _tts(session, service)
            await closed_loop(call, concurrency=concurrency, seconds=WARM_UP_S)
            return await closed_loop(call, concurrency=concurrency, seconds=seconds)


def _asr(session: aiohttp.ClientSession, service: Served) -> Call:
    files = clips()

    async def call(number: int) -> bool:
        form = aiohttp.FormData()
        form.add_field("file", files[number % len(files)], filename="clip.wav", content_type="audio/wav")
        form.add_field("model", "whisper-1")
        async with session.post(f"{service.url}/v1/audio/transcriptions", data=form) as answer:
            body = await answer.json()
            return answer.status == 200 and bool(body["text"])

    return call


def _tts(session: aiohttp.ClientSession, service: Served) -> Call:
    async def call(number: int) -> bool:
        body = {"model": "tts-1", "voice": "alloy", "input": SENTENCES[number % len(SENTENCES)].capitalize() + "."}
        async with session.post(f"{service.url}/v1/audio/speech", json=body) as answer:
            return answer.status == 200 and bool(await answer.read())

    return call
