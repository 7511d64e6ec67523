"""Use Pipecat's OpenAI services with their default models.

Only the language is set, because its default is English.
"""

from __future__ import annotations

import asyncio
import os
import wave
from pathlib import Path

from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transcriptions.language import Language

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))

WAV = Path(CLIP).read_bytes()


async def heard(service: FrameProcessor) -> str:
    with wave.open(CLIP) as clip:
        rate = clip.getframerate()
        audio = clip.readframes(clip.getnframes())
    step = rate // 10 * 2
    pieces = [InputAudioRawFrame(audio[at : at + step], rate, 1) for at in range(0, len(audio), step)]
    frames = [
        SleepFrame(sleep=1.0),
        VADUserStartedSpeakingFrame(),
        *pieces,
        VADUserStoppedSpeakingFrame(),
        SleepFrame(sleep=3.0),
    ]
    down, _up = await run_test(
        service, frames_to_send=frames, pipeline_params=PipelineParams(audio_in_sample_rate=rate)
    )
    return " ".join(frame.text for frame in down if isinstance(frame, TranscriptionFrame))


async def main() -> None:
    file = OpenAISTTService(api_key=KEY, base_url=f"{URL}/v1", settings=OpenAISTTService.Settings(language=Language.MS))
    frames = [frame async for frame in file.run_stt(WAV)]
    assert [getattr(frame, "text", frame) for frame in frames] == [SENTENCE]
    live = OpenAIRealtimeSTTService(
        api_key=KEY,
        base_url=f"{URL.replace('http', 'ws', 1)}/v1/realtime",
        settings=OpenAIRealtimeSTTService.Settings(language=Language.MS),
    )
    text = await heard(live)
    assert text == SENTENCE, text
    speech = OpenAITTSService(api_key=KEY, base_url=f"{URL}/v1")
    down, _up = await run_test(speech, frames_to_send=[TTSSpeakFrame("Apa khabar?"), SleepFrame(sleep=2.0)])
    assert sum(len(frame.audio) for frame in down if isinstance(frame, TTSAudioRawFrame)) > 20_000


asyncio.run(main())
