"""Use the voice pipeline of openai-agents: send a recording, then live audio, and get the agent's spoken reply."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from agents.voice import (
    AudioInput,
    OpenAIVoiceModelProvider,
    StreamedAudioInput,
    VoicePipeline,
    VoicePipelineConfig,
    VoiceWorkflowBase,
)

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))


class Repeats(VoiceWorkflowBase):
    """An agent that repeats what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def run(self, transcription: str) -> AsyncIterator[str]:
        self.told.append(transcription)
        yield f"{transcription}."


async def main() -> None:
    with wave.open(CLIP) as clip:
        audio = np.frombuffer(clip.readframes(clip.getnframes()), np.int16)
    config = VoicePipelineConfig(
        model_provider=OpenAIVoiceModelProvider(api_key=KEY, base_url=f"{URL}/v1"), tracing_disabled=True
    )
    workflow = Repeats()
    pipeline = VoicePipeline(workflow=workflow, config=config)
    await heard(await pipeline.run(AudioInput(buffer=audio)))
    assert workflow.told == [SENTENCE], workflow.told

    microphone = StreamedAudioInput()
    result = await pipeline.run(microphone)
    await microphone.add_audio(audio)
    await microphone.add_audio(np.zeros(48_000, np.int16))
    await heard(result)
    assert workflow.told == [SENTENCE, SENTENCE], workflow.told


async def heard(result: Any) -> None:
    samples = 0
    async for event in result.stream():
        assert event.type != "voice_stream_event_error", event
        if event.type == "voice_stream_event_audio":
            samples += len(event.data)
        if event.type == "voice_stream_event_lifecycle" and event.event == "turn_ended":
            break
    assert samples > 10_000, samples


asyncio.run(asyncio.wait_for(main(), 80))
