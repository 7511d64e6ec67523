"""Use wyoming-openai as a bridge between the service and a Wyoming client such as Home Assistant."""

from __future__ import annotations

import asyncio
import os
import sys
import wave

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeVoice

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))
PORT = int(os.environ["CLIENT_PORT"])
SERVICE = [
    "--stt-openai-url",
    f"{URL}/v1",
    "--stt-openai-key",
    KEY,
    "--tts-openai-url",
    f"{URL}/v1",
    "--tts-openai-key",
    KEY,
]
CHOICE = ["--languages", "ms", "--stt-models", "whisper-1", "--tts-models", "tts-1", "--tts-voices", "alloy"]


async def connected() -> AsyncTcpClient:
    for _ in range(100):
        client = AsyncTcpClient("127.0.0.1", PORT)
        try:
            await client.connect()
            return client
        except OSError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the bridge does not listen")


async def talk() -> None:
    client = await connected()
    await client.write_event(Describe().event())
    info = Info.from_event(await client.read_event())
    assert info.asr and info.tts
    with wave.open(CLIP) as clip:
        rate = clip.getframerate()
        audio = clip.readframes(clip.getnframes())
    await client.write_event(Transcribe(language="ms").event())
    await client.write_event(AudioStart(rate=rate, width=2, channels=1).event())
    await client.write_event(AudioChunk(rate=rate, width=2, channels=1, audio=audio).event())
    await client.write_event(AudioStop().event())
    while not Transcript.is_type((event := await client.read_event()).type):
        pass
    assert Transcript.from_event(event).text == SENTENCE
    await client.write_event(Synthesize(text="Apa khabar?", voice=SynthesizeVoice(name="alloy")).event())
    spoken = 0
    while not AudioStop.is_type((event := await client.read_event()).type):
        spoken += len(event.payload or b"")
    assert spoken > 20_000
    await client.disconnect()


async def main() -> None:
    bridge = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wyoming_openai", "--uri", f"tcp://127.0.0.1:{PORT}", *SERVICE, *CHOICE
    )
    try:
        async with asyncio.timeout(40):
            await talk()
    finally:
        bridge.terminate()
        await bridge.wait()


asyncio.run(main())
