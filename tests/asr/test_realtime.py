"""OpenAI's realtime transcription session, with the ``openai`` SDK (only its base URL is changed) and without it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import av
import jiwer
import numpy as np
import openai
import pytest
import soxr

from gateway.lifecycle import lifecycle
from tests import sound
from tests.asr.sockets import Client, opened, pcm16
from tests.services import Served

SENTENCE = "selamat pagi semua"
TALK = sound.joined([sound.silence(0.4), sound.said(SENTENCE), sound.silence(0.9)])
PATH = "/v1/realtime?intent=transcription"
TRANSCRIPTION = "conversation.item.input_audio_transcription"


pytestmark = pytest.mark.usefixtures("settled")


def encoded(audio: sound.Audio, rate: int = 24_000) -> list[str]:
    """Resample audio to ``rate``, and return it as base64 messages of 100 ms each."""
    data = pcm16(soxr.resample(audio, 16_000, rate))
    size = 2 * rate // 10
    return [base64.b64encode(data[start : start + size]).decode() for start in range(0, len(data), size)]


@pytest.fixture
def sdk(served_service: Served) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{served_service.url}/v1", api_key=served_service.key)


async def transcribed(connection: Any, audio: sound.Audio, *, commit: bool) -> list[Any]:
    """Send audio, and return all events up to the completed transcript or an error.

    ``commit``: whether to commit the audio buffer after the audio.
    """
    for audio_message in encoded(audio):
        await connection.input_audio_buffer.append(audio=audio_message)
    if commit:
        await connection.input_audio_buffer.commit()
    events = []
    async with asyncio.timeout(30):
        async for event in connection:
            events.append(event)
            if event.type in (f"{TRANSCRIPTION}.completed", "error"):
                break
    return events


async def test_the_sdk_with_server_vad(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        created = await connection.recv()
        assert created.type == "session.created"
        assert created.session.type == "transcription"
        assert created.session.audio.input.turn_detection.silence_duration_ms == 500
        transcription = {"model": "gpt-4o-transcribe", "language": "ms", "prompt": ""}
        detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 400}
        microphone = {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": transcription,
            "turn_detection": detection,
            "noise_reduction": {"type": "near_field"},
        }
        await connection.session.update(session={"type": "transcription", "audio": {"input": microphone}})
        updated = await connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.audio.input.turn_detection.silence_duration_ms == 400
        assert updated.session.audio.input.transcription.model == "gpt-4o-transcribe"
        events = await transcribed(connection, TALK, commit=False)
    kinds = [event.type for event in events if not event.type.endswith(".delta")]
    assert kinds == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.completed",
    ]
    by_kind = {event.type: event for event in events}
    completed = by_kind[f"{TRANSCRIPTION}.completed"]
    assert jiwer.wer(SENTENCE, completed.transcript) <= 0.4
    assert completed.usage.type == "duration"
    assert completed.usage.seconds in (2, 3, 4)  # rounded up to whole seconds
    assert by_kind["conversation.item.added"].item.id == completed.item_id
    assert by_kind["input_audio_buffer.speech_started"].item_id == completed.item_id
    assert 100 < by_kind["input_audio_buffer.speech_started"].audio_start_ms < 800
    assert 1_500 < by_kind["input_audio_buffer.speech_stopped"].audio_end_ms < len(TALK) / 16


async def test_the_sdk_with_manual_commit(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.recv()
        session = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        await connection.session.update(session=session)
        assert (await connection.recv()).session.audio.input.turn_detection is None
        events = await transcribed(connection, TALK, commit=True)
        assert jiwer.wer(SENTENCE, events[-1].transcript) <= 0.4
        assert "input_audio_buffer.speech_started" not in [event.type for event in events]
        again = await transcribed(connection, TALK, commit=True)
        first, second = (next(e for e in all_ if e.type.endswith("committed")) for all_ in (events, again))
        assert (first.previous_item_id, second.previous_item_id) == (None, first.item_id)
        await connection.input_audio_buffer.clear()
        assert (await connection.recv()).type == "input_audio_buffer.cleared"


async def test_the_sdk_makes_client_secrets(sdk: openai.AsyncOpenAI, served_service: Served) -> None:
    secret = await sdk.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 30},
        session={"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}},
        extra_headers={"X-Voice-User": "aminah"},  # the key also serves other users
    )
    assert secret.value.startswith("ek_")
    assert secret.session.type == "transcription"
    browser = openai.AsyncOpenAI(base_url=f"{served_service.url}/v1", api_key=secret.value)
    async with browser.realtime.connect() as connection:  # the token already names the intent
        created = await connection.recv()
        assert created.session.audio.input.format.type == "audio/pcmu"


async def test_the_sdk_gets_a_readable_refusal(served_service: Served) -> None:
    stranger = openai.AsyncOpenAI(base_url=f"{served_service.url}/v1", api_key="vk_wrong")
    async with stranger.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        event = await connection.recv()
        assert (event.type, event.error.code) == ("error", "invalid_api_key")


async def test_tokens_never_appear_in_logs(served_service: Served) -> None:
    async with opened(served_service.url, None, path="/ws/asr?token=ek_rahsia_satu.x.y") as client:
        assert await client.close_code() == 4401
    protocols = ["realtime", "openai-insecure-api-key.ek_rahsia_dua"]
    async with opened(served_service.url, None, path=PATH, subprotocols=protocols) as client:
        assert await client.close_code() == 4401
    await asyncio.sleep(0.2)
    log = served_service.log.read_text()
    assert '"/ws/asr"' in log
    assert "rahsia_satu" not in log
    assert "rahsia_dua" not in log


async def append(client: Client, audio: sound.Audio, rate: int = 24_000) -> None:
    for message in encoded(audio, rate):
        await client.send({"type": "input_audio_buffer.append", "audio": message})


async def test_beta_clients_get_events_in_the_beta_format(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key, path=PATH, headers={"OpenAI-Beta": "realtime=v1"}) as client:
        assert (await client.event())["type"] == "transcription_session.created"
        session = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "gpt-4o-mini-transcribe", "language": "ms", "prompt": ""},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 300},
            "input_audio_noise_reduction": {"type": "near_field"},
            "include": ["item.input_audio_transcription.logprobs"],
        }
        await client.send({"type": "transcription_session.update", "session": session})
        updated = (await client.until("transcription_session.updated"))["session"]
        assert updated["input_audio_format"] == "pcm16"
        assert updated["turn_detection"]["silence_duration_ms"] == 300
        await append(client, TALK)
        await client.until(f"{TRANSCRIPTION}.completed")
    assert len(client.of("conversation.item.created")) == 1
    assert not client.of("conversation.item.added")


@pytest.mark.parametrize(("kind", "codec"), [("audio/pcmu", "pcm_mulaw"), ("audio/pcma", "pcm_alaw")])
async def test_telephone_audio(server_address: str, api_key: str, kind: str, codec: str) -> None:
    narrow = soxr.resample(TALK, 16_000, 8_000)
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate = 8_000
    encoder.layout = "mono"
    encoder.format = "s16"
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm16(narrow), "<i2")[None], "s16", "mono")
    frame.sample_rate = 8_000
    data = b"".join(bytes(packet) for packet in encoder.encode(frame))
    async with opened(server_address, api_key, path=PATH) as client:
        session = {"audio": {"input": {"format": {"type": kind}, "transcription": {"language": "ms"}}}}
        await client.send({"type": "session.update", "session": session})
        message = base64.b64encode(data).decode()
        await client.send({"type": "input_audio_buffer.append", "audio": message})
        completed = await client.until(f"{TRANSCRIPTION}.completed")
    assert completed["transcript"]
    assert completed["languages"] == [{"code": "ms"}]
    assert 1.5 < completed["usage"]["seconds"] < len(TALK) / 16_000 + 1


def microphone(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": fields}}}


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("nonsense", "invalid_value", None),
        ('{"type": "input_audio_buffer.clear", "type": "input_audio_buffer.clear"}', "invalid_value", None),
        ('{"type": "input_audio_buffer.clear", "more": ' + "9" * 5000 + "}", "invalid_value", None),
        ('{"type": "input_audio_buffer.clear", "more": NaN}', "invalid_value", None),
        (b"\0\0", "invalid_value", None),
        ({"type": "response.create"}, "invalid_value", "type"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "input_audio_buffer.append"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "***"}, "invalid_value", "audio"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "invalid_value", "type"),
        ({"type": "session.update", "session": "x"}, "invalid_value", None),
        (microphone(transcription={"model": "whisper-9"}), "model_not_found", "model"),
        (microphone(turn_detection={"type": "lunar_vad"}), "invalid_value", "audio.input.turn_detection.type"),
        (microphone(noise_reduction={"type": "underwater"}), "invalid_value", "audio.input.noise_reduction.type"),
        (
            {"type": "session.update", "session": {"include": ["everything"]}},
            "unsupported_parameter",
            "session.include",
        ),
        (microphone(transcription={"delay": "low"}), "unsupported_parameter", "delay"),
        (microphone(transcription={"languages": ["en", "ta"]}), "invalid_value", "languages"),
        (microphone(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000}), "unsupported_parameter", None),
        (microphone(noise_reduction={"type": "near_field", "strength": 0.5}), "unsupported_parameter", "strength"),
        (microphone(format={"rate": 12_345}), "invalid_value", "sample_rate"),
    ],
)
async def test_an_error_does_not_end_the_session(server_address, api_key, message, code, param) -> None:
    async with opened(server_address, api_key, path=PATH) as client:
        await client.until("session.created")
        if isinstance(message, dict):
            message = message | {"event_id": "mine"}
        await client.send(message)
        event = await client.until("error")
        assert event["event_id"]
        error = event["error"]
        assert (error["code"], error["type"]) == (code, "invalid_request_error")
        assert param is None or error["param"] == param
        assert error["event_id"] == ("mine" if isinstance(message, dict) else None)
        await append(client, TALK)
        await client.until(f"{TRANSCRIPTION}.completed")


@pytest.mark.parametrize(("eagerness", "silence_ms"), [("low", 1_500), ("medium", 800), ("auto", 800), ("high", 400)])
async def test_eagerness_sets_the_silence_that_ends_a_turn(
    server_address, api_key, eagerness: str, silence_ms: int
) -> None:
    async with opened(server_address, api_key, path=PATH) as client:
        await client.send(microphone(turn_detection={"type": "semantic_vad", "eagerness": eagerness}))
        updated = (await client.until("session.updated"))["session"]["audio"]["input"]["turn_detection"]
        assert updated == {"type": "semantic_vad", "eagerness": eagerness}
        await append(client, sound.joined([TALK, sound.silence(1)]))
        stopped = await client.until("input_audio_buffer.speech_stopped")
        speech_ends_ms = len(sound.joined([sound.silence(0.4), sound.said(SENTENCE)])) / 16 - 300
        assert stopped["audio_end_ms"] == pytest.approx(speech_ends_ms + silence_ms, abs=250)


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe", "gpt-realtime-whisper-2026-01-31"])
async def test_models_whose_clients_commit_start_without_turn_detection(server_address, api_key, model: str) -> None:
    async with opened(server_address, api_key, path=f"{PATH}&model={model}") as client:
        created = (await client.until("session.created"))["session"]
        assert created["audio"]["input"]["turn_detection"] is None
    async with opened(server_address, api_key, path=PATH) as client:
        await client.send(microphone(transcription={"model": model}))
        assert (await client.until("session.updated"))["session"]["audio"]["input"]["turn_detection"] is None
        await append(client, TALK)
        await client.send({"type": "input_audio_buffer.commit"})
        await client.until(f"{TRANSCRIPTION}.completed")
        await client.send(microphone(turn_detection={"type": "server_vad"}))
        updated = (await client.until("session.updated"))["session"]["audio"]["input"]
        assert updated["turn_detection"]["type"] == "server_vad"
    assert not client.of("input_audio_buffer.speech_started")


async def test_a_refused_update_changes_nothing(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key, path=PATH) as client:
        await client.send(microphone(transcription={"language": "en"}, turn_detection={"type": "lunar_vad"}))
        assert "No part of this update was applied." in (await client.until("error"))["error"]["message"]
        await client.send({"type": "session.update", "session": {}})
        updated = (await client.until("session.updated"))["session"]["audio"]["input"]
        assert updated["transcription"]["language"] is None


async def test_logprobs_are_included_if_requested(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key, path=PATH) as client:
        include = ["item.input_audio_transcription.logprobs"]
        await client.send({"type": "session.update", "session": {"type": "transcription", "include": include}})
        assert (await client.until("session.updated"))["session"]["include"] == include
        await append(client, TALK)
        completed = await client.until(f"{TRANSCRIPTION}.completed")
    assert isinstance(completed["logprobs"], list)
    for token in completed["logprobs"]:
        assert token["logprob"] <= 0 and set(token) == {"token", "logprob", "bytes"}


async def test_an_update_does_not_postpone_the_end_of_a_session(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key, path=PATH) as client:
        created = (await client.until("session.created"))["session"]
        await asyncio.sleep(1.1)
        await client.send({"type": "session.update", "session": {}})
        updated = (await client.until("session.updated"))["session"]
        await client.send({"type": "transcription_session.update", "session": {}})
        of_beta = (await client.until("transcription_session.updated"))["session"]
    assert updated["expires_at"] == of_beta["expires_at"] == created["expires_at"]


async def test_a_muted_microphone_is_not_idle(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_WS_IDLE_S = 0.2
    async with opened(server_address, api_key, path=PATH) as client:
        await client.until("session.created")
        await asyncio.sleep(1)
        await client.send({"type": "session.update", "session": {}})
        await client.until("session.updated")


async def test_the_close_code_says_that_the_client_may_reconnect(
    server_address: str, api_key: str, monkeypatch
) -> None:
    monkeypatch.setattr("asr.live_consumer.MAX_WAIT_S", -1.0)
    async with opened(server_address, api_key, path=PATH) as client:
        assert await client.close_code() == 1013
    assert client.events == []
    monkeypatch.undo()
    stopping = asyncio.Event()
    monkeypatch.setattr(lifecycle(), "stopping", stopping)
    async with opened(server_address, api_key, path=PATH) as client:
        await client.until("session.created")
        stopping.set()
        assert await client.close_code() == 1012
    assert not client.of("error")


async def test_an_expired_session_has_openais_code(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_WS_MAX_S = 0.5
    async with opened(server_address, api_key, path=PATH) as client:
        assert await client.close_code() == 1001
    assert not client.of("error")


async def test_a_huge_message_ends_the_session(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key, path=PATH) as client:
        await client.send({"type": "input_audio_buffer.append", "audio": "A" * 1_100_000})
        assert await client.close_code() == 4413
    assert client.error["code"] == "message_too_large"


async def test_deltas_arrive_during_speech(server_address: str, api_key: str) -> None:
    long = sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok")
    async with opened(server_address, api_key, path=PATH) as client:
        for message in encoded(sound.joined([long, sound.silence(0.8)])):
            await client.send({"type": "input_audio_buffer.append", "audio": message})
            await asyncio.sleep(0.04)
        completed = await client.until(f"{TRANSCRIPTION}.completed")
    deltas = [event["delta"] for event in client.of(f"{TRANSCRIPTION}.delta")]
    assert len(deltas) >= 2
    assert jiwer.wer(completed["transcript"], "".join(deltas)) <= 0.6
    kinds = [event["type"] for event in client.events]
    assert kinds.index(f"{TRANSCRIPTION}.delta") < kinds.index("input_audio_buffer.speech_stopped")
