"""Use LiveKit's openai plugin: transcribe a file and a stream, and generate speech.

With the argument ``restart``, the server stops during the stream.
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave

import aiohttp
from livekit import rtc
from livekit.agents import stt
from livekit.plugins import openai

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))
AT_THE_SERVICE = {"base_url": f"{URL}/v1", "api_key": KEY}


def frames() -> list[rtc.AudioFrame]:
    with wave.open(CLIP) as clip:
        rate = clip.getframerate()
        audio = clip.readframes(clip.getnframes())
    return [rtc.AudioFrame(sound, rate, 1, len(sound) // 2) for sound in (audio, bytes(4 * rate))]


async def stream(model: str, *, restarts: bool) -> None:
    async with aiohttp.ClientSession() as session:
        recogniser = openai.STT(**AT_THE_SERVICE, model=model, language="ms", use_realtime=True)
        recogniser._session = session  # outside an agent's job the plugin finds no session
        live = recogniser.stream()
        for frame in frames():
            live.push_frame(frame)
        heard = 0
        async for event in live:
            if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                assert event.alternatives[0].text == SENTENCE, event
                assert event.alternatives[0].language == "ms", event
                heard += 1
                if heard == 1 + restarts:
                    break
                print("HEARD", flush=True)
                assert await asyncio.to_thread(sys.stdin.readline) == "RESTARTED\n"
                for frame in frames():
                    live.push_frame(frame)
        await live.aclose()


async def files() -> None:
    recogniser = openai.STT(**AT_THE_SERVICE, language="ms")
    event = await recogniser.recognize(frames()[0])
    assert event.alternatives[0].text == SENTENCE, event
    samples = 0
    async for audio in openai.TTS(**AT_THE_SERVICE).synthesize("Apa khabar?"):
        samples += audio.frame.samples_per_channel
    assert samples > 10_000


if sys.argv[1:] == ["restart"]:
    asyncio.run(stream("gpt-4o-mini-transcribe", restarts=True))
else:
    asyncio.run(files())
    asyncio.run(stream("gpt-4o-mini-transcribe", restarts=False))
    asyncio.run(stream("gpt-live-transcribe", restarts=False))
