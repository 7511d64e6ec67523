"""Use the service with openai-python, both the newest version and 1.x."""

from __future__ import annotations

import asyncio
import base64
import os
import wave
from pathlib import Path

import openai

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))


def files() -> None:
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    data = "clip.wav", Path(CLIP).read_bytes()
    create = client.audio.transcriptions.create
    for model in ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "gpt-transcribe"):
        assert create(model=model, file=data, chunking_strategy="auto").text == SENTENCE, model
    words = create(model="whisper-1", file=data, response_format="verbose_json", timestamp_granularities=["word"])
    assert [word.word for word in words.words] == SENTENCE.split()
    assert create(model="gpt-4o-transcribe", file=data, include=["logprobs"]).logprobs
    vad = {"type": "server_vad", "prefix_padding_ms": 300, "silence_duration_ms": 200, "threshold": 0.5}
    events = list(create(model="gpt-4o-transcribe", file=data, stream=True, chunking_strategy=vad))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].text == SENTENCE
    assert client.audio.translations.create(model="whisper-1", file=data).text
    assert len(client.audio.speech.create(model="tts-1", voice="alloy", input="Apa khabar?").content) > 1000
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts-2025-12-15",
        voice="coral",
        input="Apa khabar?",
        response_format="pcm",
        instructions="Ceria.",
    ) as answer:
        assert "not followed" in answer.headers["warning"]
        assert len(b"".join(answer.iter_bytes())) > 20_000
    assert {"whisper-1", "tts-1"} <= {model.id for model in client.models.list()}
    for error, fields in (
        (openai.NotFoundError, {"model": "chirp"}),
        (openai.BadRequestError, {"language": "klingon"}),
        (openai.BadRequestError, {"chunking_strategy": {"type": "server_vad", "threshold": 0.9}}),
    ):
        try:
            create(**{"model": "whisper-1", "file": data, **fields})
        except error as refusal:
            assert refusal.code and refusal.param
        else:
            raise AssertionError(fields)


def diarized() -> None:
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    data = "clip.wav", Path(CLIP).read_bytes()
    answer = client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize", file=data, response_format="diarized_json", chunking_strategy="auto"
    )
    assert [(segment.speaker, segment.text) for segment in answer.segments] == [("A", SENTENCE)]


async def live() -> None:
    sockets = f"{URL.replace('http', 'ws', 1)}/v1"  # without it, 1.x uses TLS whatever the base URL says
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", websocket_base_url=sockets, api_key=KEY)
    async with client.realtime.connect(model="gpt-4o-transcribe", extra_query={"intent": "transcription"}) as session:
        microphone = {"transcription": {"model": "gpt-4o-transcribe", "language": "ms"}, "turn_detection": None}
        await session.session.update(session={"type": "transcription", "audio": {"input": microphone}})
        with wave.open(CLIP) as clip:
            assert clip.getframerate() == 24_000
            audio = clip.readframes(clip.getnframes())
        await session.input_audio_buffer.append(audio=base64.b64encode(audio).decode())
        await session.input_audio_buffer.commit()
        async for event in session:
            assert event.type != "error", event
            if event.type.endswith("input_audio_transcription.completed"):
                assert event.transcript == SENTENCE
                return


files()
if not openai.__version__.startswith("1."):
    diarized()
asyncio.run(live())
