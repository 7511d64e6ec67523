"""``/ws/asr`` over real sockets: messages, events, errors and metering."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import httpx
import jiwer
import pytest
import soxr
from websockets.exceptions import ConnectionClosed

from asr.whisper_engine import whisper
from tests import sound
from tests.asr.sockets import SENTENCE, START, TALK, opened, pcm16, quiet, rows, whole

pytestmark = pytest.mark.usefixtures("settled")


async def test_it_works(server_address: str, api_key: str) -> None:
    client = await whole(server_address, api_key, TALK)
    assert client.connection.close_code == 1000
    kinds = [event["type"] for event in client.events if event["type"] != "partial"]
    assert kinds == ["ready", "speech_started", "speech_stopped", "final", "usage", "done"]
    [final] = client.of("final")
    assert jiwer.wer(SENTENCE, final["text"]) <= 0.4
    assert [word["word"] for word in final["words"]] == final["text"].split()
    assert 0 < final["start_ms"] < final["end_ms"] < len(TALK) / 16
    assert client.of("usage")[0]["audio_ms"] == pytest.approx(len(TALK) / 16, abs=1)
    [row] = await rows()
    assert (row.kind, row.status, row.language) == ("realtime", 200, "ms")
    assert row.audio_ms == pytest.approx(len(TALK) / 16, abs=1)
    assert row.request_id == client.of("ready")[0]["session_id"]


async def test_partials_while_speaking(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key) as client:
        await client.send(START)
        await client.speak(sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi"), pause_s=0.05)
        await client.send({"type": "stop"})
        await client.close_code()
    assert len(client.of("partial")) >= 2
    for partial in client.of("partial"):
        assert partial["text"].startswith(partial["stable"])


async def test_done_comes_after_the_last_words(server_address: str, api_key: str, settings, monkeypatch) -> None:
    """The idle timeout does not end a stream while its final results are still being computed."""
    settings.VOICE_WS_IDLE_S = 0.3
    submit = whisper().submit

    async def slow(unit):
        await asyncio.sleep(1.5)
        return await submit(unit)

    monkeypatch.setattr(whisper(), "submit", slow)
    async with opened(server_address, api_key) as client:
        await client.send(START | {"partials": False})
        await client.speak(sound.said(SENTENCE))
        await client.send({"type": "stop"})
        assert await client.close_code() == 1000
    assert client.of("final")[0]["text"]


async def test_manual_commit(server_address: str, api_key: str) -> None:
    async with opened(server_address, api_key) as client:
        await client.send(START | {"turn_detection": None, "partials": False})
        await client.speak(TALK)
        await client.send({"type": "commit"})
        await client.until("final")
        await client.send({"type": "commit"})
        assert (await client.until("error"))["error"]["code"] == "audio_too_short"
        await client.send({"type": "stop"})
        assert await client.close_code() == 1000
    assert "speech_started" not in [event["type"] for event in client.events]


async def test_messages_may_be_split_within_a_sample(server_address: str, api_key: str) -> None:
    data = pcm16(TALK)
    async with opened(server_address, api_key) as client:
        await client.send(START)
        for start in range(0, len(data), 3_201):
            await client.send(data[start : start + 3_201])
        await client.send({"type": "stop"})
        assert await client.close_code() == 1000
    whole_ones = await whole(server_address, api_key, TALK)
    assert client.of("final")[0]["text"] == whole_ones.of("final")[0]["text"]


@pytest.mark.parametrize("field", ["language", "model", "type"])
async def test_an_unpaired_surrogate_is_reported_as_an_error(server_address: str, api_key: str, field: str) -> None:
    async with opened(server_address, api_key) as client:
        await client.send(json.dumps(START | {field: "\ud83d"}))
        assert await client.close_code() in (4400, 4404)
    assert "\ufffd" in client.error["message"]


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
async def test_sample_rates(server_address: str, api_key: str, rate: int) -> None:
    client = await whole(server_address, api_key, soxr.resample(TALK, 16_000, rate), sample_rate=rate)
    assert client.of("usage")[0]["audio_ms"] == pytest.approx(len(TALK) / 16, abs=2)
    assert len(client.of("final")) == 1


@pytest.mark.parametrize(
    ("messages", "code", "error", "says"),
    [
        ([b"\0\0"], 4400, "invalid_value", "waiting for start"),
        (["{"], 4400, "invalid_value", "JSON"),
        (["[" * 100_000], 4400, "invalid_value", "JSON"),
        (['{"type": "start", "type": "start"}'], 4400, "invalid_value", "the name 'type' more than once"),
        (["[]"], 4400, "missing_field", "type"),
        ([{"type": "stop"}], 4400, "invalid_value", "'stop' is not allowed now: waiting for start"),
        ([{"type": "sing"}], 4400, "invalid_value", "'sing'"),
        ([START, START], 4400, "invalid_value", "'start' is not allowed now: streaming"),
        ([START | {"sample_rate": 11_025}], 4400, "invalid_value", "11025"),
        ([START | {"sample_rate": 0}], 4400, "invalid_value", "sample rate of 0"),
        ([START | {"sample_rate": "fast"}], 4400, "invalid_value", "sample_rate"),
        ([START | {"encoding": "mp3"}], 4400, "invalid_value", "encoding"),
        ([START | {"language": "klingon"}], 4400, "invalid_value", "klingon"),
        ([START | {"model": "whisper-9"}], 4404, "model_not_found", "whisper-9"),
        ([START | {"turn_detection": {"threshold": 7}}], 4400, "invalid_value", "turn_detection.threshold"),
        ([START | {"encoding": "opus"}, b"\xff" * 50], 4400, "invalid_audio", "Opus"),
        ([START, b"\0" * 65_538], 4413, "message_too_large", "65,536"),
        (['{"type": "start", "prompt": "' + "x" * 1_100_000 + '"}'], 4413, "message_too_large", "1,048,576"),
    ],
)
async def test_invalid_messages_are_reported_and_close_the_connection(
    server_address, api_key, messages, code: int, error: str, says: str
) -> None:
    async with opened(server_address, api_key) as client:
        for message in messages:
            await client.send(message)
        assert await client.close_code() == code
    assert client.error["code"] == error
    assert says in client.error["message"]
    assert set(client.error) == {"message", "type", "param", "code"}
    [row] = await rows()
    assert (row.status, row.audio_ms, row.error_code) == (code - 4000, 0, error)


async def test_an_oversized_frame_ends_the_connection(served_service) -> None:
    async with opened(served_service.url, served_service.key) as client:
        await client.send(START)
        with suppress(ConnectionClosed):  # the server may close before everything is sent
            await client.send(b"\0" * 20_000_000)
        assert await client.close_code() in (1006, 1009)


@pytest.mark.parametrize(
    ("key", "path", "options", "code", "error"),
    [
        (None, "/ws/asr", {}, 4401, "missing_credentials"),
        ("vk_wrong", "/ws/asr", {}, 4401, "invalid_api_key"),
        (None, "/ws/asr?token=vk_long_lived", {}, 4401, "invalid_api_key"),
        (None, "/ws/asr?token=ek_made.up.one", {}, 4401, "invalid_api_key"),
        ("good", "/ws/asr", {"origin": "https://elsewhere.example"}, 4403, "forbidden"),
        ("good", "/v1/realtime", {}, 4400, "invalid_value"),
    ],
)
async def test_refused_connections(server_address, api_key, key, path, options, code: int, error: str) -> None:
    async with opened(server_address, api_key if key == "good" else key, path=path, **options) as client:
        assert await client.close_code() == code
    assert client.error["code"] == error


@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1:5173", "https://chat.example"])
async def test_accepted_credentials(server_address: str, api_key: str, settings, origin: str | None) -> None:
    settings.VOICE_CORS_ORIGINS = ["https://chat.example"]
    async with opened(server_address, api_key, origin=origin) as client:
        await client.send(START)
        await client.until("ready")


async def test_unknown_addresses_are_refused(server_address: str, api_key: str) -> None:
    with pytest.raises(Exception, match="404"):
        async with opened(server_address, api_key, path="/ws/nothing"):
            pass


async def test_browser_tokens(server_address: str, api: httpx.AsyncClient) -> None:
    body = {"session": {"type": "transcription"}, "user": "aminah"}
    answer = await api.post("/v1/realtime/client_secrets", json=body)
    assert answer.status_code == 200
    token = answer.json()["value"]
    assert token.startswith("ek_")
    ways = [
        {"path": f"/ws/asr?token={token}"},
        {"subprotocols": [f"openai-insecure-api-key.{token}"]},
        {"subprotocols": ["realtime", f"openai-insecure-api-key.{token}"]},
        {"headers": {"Authorization": f"Bearer {token}"}},
    ]
    for way in ways:
        async with opened(server_address, None, **way) as client:
            await client.send(START)
            await client.until("ready")
    assert client.connection.subprotocol is None
    assert {row.user for row in await rows()} == {"aminah"}
    # The token is valid for sockets and for querying availability, but not for other requests.
    refused = await api.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401


async def test_a_token_expires(server_address: str, api: httpx.AsyncClient, monkeypatch) -> None:
    answer = await api.post("/v1/realtime/client_secrets", json={})
    secret = answer.json()
    monkeypatch.setattr("gateway.client_secrets.time.time", lambda: secret["expires_at"] + 1)
    async with opened(server_address, None, path=f"/ws/asr?token={secret['value']}") as client:
        assert await client.close_code() == 4401
    assert client.error["code"] == "expired_token"


async def test_a_token_is_refused_with_its_client_application(
    server_address: str, api: httpx.AsyncClient, api_key: str
) -> None:
    from core.identity import forget_lookups
    from core.models import ClientApplication

    token = (await api.post("/v1/realtime/client_secrets", json={})).json()["value"]
    await ClientApplication.objects.filter(name="chat-ujian").aupdate(is_active=False)
    forget_lookups()
    async with opened(server_address, None, path=f"/ws/asr?token={token}") as client:
        assert await client.close_code() == 4401


async def test_streams_per_user(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_STREAMS_PER_USER = 2
    headers = {"X-Voice-User": "aminah"}
    async with (
        opened(server_address, api_key, headers=headers) as first,
        opened(server_address, api_key, headers=headers) as second,
    ):
        for client in (first, second):
            await client.send(START)
            await client.until("ready")
        async with opened(server_address, api_key, headers=headers) as third:
            assert await third.close_code() == 4429
        assert third.error["code"] == "too_many_streams"
        async with opened(server_address, api_key, headers={"X-Voice-User": "bala"}) as other:
            await other.send(START)
            await other.until("ready")
    await quiet()
    async with opened(server_address, api_key, headers=headers) as again:
        await again.send(START)
        await again.until("ready")
    assert sorted(row.status for row in await rows()) == [429, 499, 499, 499, 499]


async def test_the_stream_limit_applies_to_a_user_named_by_start(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_STREAMS_PER_USER = 1
    async with opened(server_address, api_key) as first, opened(server_address, api_key) as second:
        await first.send(START | {"user": "aminah"})
        await first.until("ready")
        await second.send(START | {"user": "aminah"})
        assert await second.close_code() == 4429
    assert [row.user for row in await rows()] == ["aminah", "aminah"]


async def test_the_rate_limit(server_address: str, api_key: str, settings) -> None:
    settings.VOICE_RATE_LIMIT = 1
    async with opened(server_address, api_key) as first:
        await first.send(START)
        await first.until("ready")
    async with opened(server_address, api_key) as second:
        assert await second.close_code() == 4429
    assert second.error["code"] == "rate_limit_exceeded"


async def test_a_transcript_can_be_corrected(server_address: str, api_key: str, api: httpx.AsyncClient) -> None:
    client = await whole(server_address, api_key, TALK)
    await quiet()
    request_id = client.of("ready")[0]["session_id"]
    url = f"/v1/audio/transcriptions/{request_id}/correction"
    answer = await api.post(url, json={"text": client.of("final")[0]["text"]})
    assert (answer.status_code, answer.json()["word_error_rate"]) == (200, 0.0)


def test_pcm16_has_two_bytes_per_sample() -> None:
    assert pcm16(sound.silence(0.01)) == bytes(320)
