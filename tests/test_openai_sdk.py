"""The ``openai`` SDK works with the running service when only its base URL is changed."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path

import av
import openai
import pytest

from tests import sound
from tests.services import Served

SENTENCE = "selamat pagi semua"
FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"]


@pytest.fixture(scope="module")
def client(served_service: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served_service.url}/v1", api_key=served_service.key)


@pytest.fixture
def clip() -> tuple[str, bytes]:
    return "clip.wav", sound.wav(sound.said(SENTENCE))


def duration_s(data: bytes, response_format: str) -> float:
    if response_format == "pcm":
        return len(data) / 2 / 24_000
    with av.open(io.BytesIO(data)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def test_transcription(client: openai.OpenAI, clip: tuple[str, bytes]) -> None:
    assert client.audio.transcriptions.create(model="whisper-1", file=clip).text == SENTENCE


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_transcription_as_text(client: openai.OpenAI, clip: tuple[str, bytes], response_format: str) -> None:
    answer = client.audio.transcriptions.create(model="whisper-1", file=clip, response_format=response_format)
    assert SENTENCE in answer


def test_transcription_with_timestamps(client: openai.OpenAI, clip: tuple[str, bytes]) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=clip, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (answer.text, answer.language) == (SENTENCE, "malay")
    assert [word.word for word in answer.words] == SENTENCE.split()
    assert 0 <= answer.segments[0].start < answer.segments[0].end <= answer.duration


def test_transcription_streamed(client: openai.OpenAI, clip: tuple[str, bytes]) -> None:
    stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=clip, stream=True)
    events = list(stream)
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[-1].text == SENTENCE


def test_translation(client: openai.OpenAI, clip: tuple[str, bytes]) -> None:
    assert client.audio.translations.create(model="whisper-1", file=clip).text


@pytest.mark.parametrize("response_format", FORMATS)
def test_speech(client: openai.OpenAI, tmp_path: Path, response_format: str) -> None:
    answer = client.audio.speech.create(
        model="tts-1", voice="alloy", input="Selamat pagi. Apa khabar?", response_format=response_format
    )
    path = tmp_path / f"speech.{response_format}"
    answer.write_to_file(path)
    assert 1 < duration_s(path.read_bytes(), response_format) < 5


@pytest.mark.parametrize("response_format", FORMATS)
def test_speech_streamed(client: openai.OpenAI, response_format: str) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="nova", input="Satu. Dua. Tiga. Empat.", response_format=response_format, speed=1.25
    ) as answer:
        data = b"".join(answer.iter_bytes())
    assert 1 < duration_s(data, response_format) < 6


def test_speech_as_server_sent_events(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Selamat pagi.", response_format="wav", stream_format="sse"
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    import json

    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {event["type"] for event in events} == {"speech.audio.delta", "speech.audio.done"}
    data = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() == 24_000
    assert events[-1]["usage"]["total_tokens"] > 0


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"whisper-1", "tts-1", "whisper-ms-demo", "espeak-ng"} <= names
    assert client.models.retrieve("whisper-1").object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_errors_become_the_sdks_exceptions(client: openai.OpenAI, served_service: Served) -> None:
    with pytest.raises(openai.BadRequestError, match="empty") as refusal:
        client.audio.transcriptions.create(model="whisper-1", file=("clip.wav", b""))
    assert refusal.value.code == "invalid_audio"
    stranger = openai.OpenAI(base_url=f"{served_service.url}/v1", api_key="vk_wrong")
    with pytest.raises(openai.AuthenticationError):
        stranger.audio.speech.create(model="tts-1", voice="alloy", input="Hai")
