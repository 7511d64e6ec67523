"""Reconnect a realtime session of openai-python when its server stops and another one has taken its place."""

from __future__ import annotations

import asyncio
import base64
import os
import wave
from typing import Any

import openai

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))


async def main() -> None:
    with wave.open(CLIP) as clip:
        audio = base64.b64encode(clip.readframes(clip.getnframes())).decode()
    codes: list[int] = []

    def reconnecting(event: Any) -> None:
        codes.append(event.close_code)

    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY)
    connecting = client.realtime.connect(extra_query={"intent": "transcription"}, on_reconnecting=reconnecting)
    async with connecting as session:
        async for event in session:
            assert event.type != "error", event
            if event.type == "session.created":
                transcription = {"model": "gpt-realtime-whisper", "language": "ms"}
                await session.session.update(
                    session={"type": "transcription", "audio": {"input": {"transcription": transcription}}}
                )
            if event.type == "session.updated":
                await session.input_audio_buffer.append(audio=audio)
                await session.input_audio_buffer.commit()
            if event.type.endswith("input_audio_transcription.completed"):
                assert event.transcript == SENTENCE, event
                if codes:
                    break
                print("HEARD", flush=True)
    assert codes == [1012], codes


asyncio.run(main())
