"""``/ws/tts`` over real sockets: messages, audio, limits and metering."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.lifecycle import lifecycle
from tests.asr.sockets import rows
from tts.consumer import SpeechConsumer

PATIENCE_S = 20.0


pytestmark = pytest.mark.usefixtures("settled")


class Reader:
    """A client of ``/ws/tts``.

    ``events``: the events received so far.
    ``audio``: the audio received so far.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.audio = b""

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def read(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            message = await self.connection.recv()
        if isinstance(message, bytes):
            self.audio += message
        else:
            self.events.append(json.loads(message))

    async def until(self, kind: str) -> dict[str, Any]:
        while not self.events or self.events[-1]["type"] != kind:
            await self.read()
        return self.events[-1]

    async def to_the_end(self) -> int | None:
        with suppress(ConnectionClosed):
            while True:
                await self.read()
        return self.connection.close_code

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


@pytest.fixture
async def reader(server_address: str, api_key: str) -> AsyncIterator[Reader]:
    url = server_address.replace("http://", "ws://") + "/ws/tts"
    async with connect(url, additional_headers={"Authorization": f"Bearer {api_key}"}) as connection:
        yield Reader(connection)


async def test_it_works(reader: Reader) -> None:
    await reader.send(type="start", voice="nova", speed=2)
    for part in ("Selamat pa", "gi, semua. Har", "ga RM1", "2.50 sahaja."):
        await reader.send(type="text", text=part)
    await reader.send(type="end")
    assert await reader.to_the_end() == 1000
    assert reader.kinds() == ["ready", "sentence", "sentence", "usage", "done"]
    assert [event["text"] for event in reader.events[1:3]] == ["Selamat pagi, semua.", "Harga RM12.50 sahaja."]
    assert reader.events[1]["start_ms"] == 0 < reader.events[2]["start_ms"]
    usage = reader.events[3]
    assert usage["audio_ms"] == pytest.approx(len(reader.audio) / 2 / 24, abs=1)
    [row] = await rows()
    assert (row.kind, row.status, row.characters) == ("speech", 200, usage["characters"])
    assert row.audio_ms == usage["audio_ms"]


async def test_opus_comes_as_an_ogg_stream(reader: Reader) -> None:
    await reader.send(type="start", format="opus", speed=3)
    await reader.send(type="text", text="Selamat pagi.")
    await reader.send(type="end")
    await reader.to_the_end()
    assert reader.audio.startswith(b"OggS")


async def test_start_may_be_left_out(reader: Reader) -> None:
    await reader.send(type="text", text="Hai.")
    await reader.send(type="flush")
    await reader.until("flushed")
    assert reader.kinds() == ["ready", "sentence", "flushed"]


async def test_cancel_is_answered_at_once(reader: Reader) -> None:
    await reader.send(type="text", text="Ayat pertama yang panjang sekali supaya lama dibaca. " * 20)
    await reader.until("sentence")
    await reader.send(type="cancel")
    await reader.until("cancelled")
    heard = len(reader.audio)
    await reader.send(type="end")
    assert await reader.to_the_end() == 1000
    assert len(reader.audio) == heard
    [row] = await rows()
    assert row.status == 200


@pytest.mark.parametrize(
    ("message", "code", "close_code"),
    [
        ("{", "invalid_value", 4400),
        ('{"type": "sing"}', "invalid_value", 4400),
        ('{"type": "text", "text": 3}', "invalid_value", 4400),
        ('{"type": "start", "voice": "nobody"}', "voice_not_found", 4404),
        ('{"type": "start", "speed": 9}', "invalid_value", 4400),
        ('{"type": "start", "format": "tape"}', "invalid_value", 4400),
        ('{"type": "start", "sample_rate": 16000}', "invalid_value", 4400),
        (b"\x00\x01", "invalid_value", 4400),
        (json.dumps({"type": "text", "text": "a" * 40_000}), "input_too_long", 4413),
    ],
)
async def test_mistakes_are_explained(reader: Reader, message: str | bytes, code: str, close_code: int) -> None:
    await reader.connection.send(message)
    assert await reader.to_the_end() == close_code
    assert reader.events[-1]["error"]["code"] == code


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"type": "flush", "type": "flush"}', "an object has the name 'type' more than once"),
        ('{"type": "text", "text": "ya", "more": [{"a": 1, "a": 2}]}', "an object has the name 'a' more than once"),
        ('{"type": "text", "text": "ya", "text": "\\ud83d"}', "an object has the name 'text' more than once"),
        # Both names become the same text, because half a character is replaced.
        ('{"type": "flush", "a\\ud83d": 1, "a\\ud83e": 2}', "an object has the name 'a\ufffd' more than once"),
        (
            '{"type": "flush", "more": "' + "x" * 70_000 + '", "more": 1}',
            "an object has the name 'more' more than once",
        ),
        ('{"type": "flush", "more": ' + "9" * 5000 + "}", "a number has too many digits"),
        ('{"type": "flush", "more": -1e400}', "the number -1e400 is too large"),
        ('{"type": "flush", "more": NaN}', "Out of range float values are not JSON compliant: 'NaN'"),
        ('{"type": "flush", "more": -Infinity}', "Out of range float values are not JSON compliant: '-Infinity'"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["type", "nested", "text", "half characters", "long", "digits", "too large", "nan", "infinity", "deep"],
)
async def test_messages_that_are_not_strict_json_are_refused(reader: Reader, message: str, reason: str) -> None:
    await reader.connection.send(message)
    assert await reader.to_the_end() == 4400
    error = reader.events[-1]["error"]
    assert (error["code"], error["message"]) == ("invalid_value", f"A text message must be JSON. ({reason})")


async def test_ten_cancels_get_ten_answers_and_one_ledger_row(reader: Reader) -> None:
    for _ in range(10):
        await reader.send(type="text", text="Ayat pertama yang panjang. Ayat kedua pula. ")
        await asyncio.sleep(0.1)
        await reader.send(type="cancel")
    await reader.send(type="end")
    assert await reader.to_the_end() == 1000
    assert reader.kinds().count("cancelled") == 10
    [row] = await rows()
    assert row.audio_ms == pytest.approx(len(reader.audio) / 2 / 24, abs=2)


async def test_a_slow_reader_slows_the_speech_down_and_is_then_disconnected(
    server_address: str, api_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = asyncio.Event()
    send = SpeechConsumer.send

    async def stuck(self: SpeechConsumer, text_data: Any = None, bytes_data: Any = None, close: bool = False) -> None:
        if bytes_data is not None:
            await blocked.wait()  # as the server does when the client's buffers are full
        await send(self, text_data, bytes_data, close)

    monkeypatch.setattr(SpeechConsumer, "send", stuck)
    monkeypatch.setattr("gateway.outgoing.TAKEN_WITHIN_S", 0.5)
    url = server_address.replace("http://", "ws://") + "/ws/tts"
    async with connect(url, additional_headers={"Authorization": f"Bearer {api_key}"}) as connection:
        reader = Reader(connection)
        await reader.send(type="text", text="Ayat yang panjang supaya lama dibaca oleh suara ini. " * 20)
        assert await reader.to_the_end() == 1006
    [row] = await rows()
    assert row.audio_ms <= 200


async def test_streams_per_user_are_limited(server_address: str, api_key: str, settings: Any) -> None:
    settings.VOICE_STREAMS_PER_USER = 1
    url = server_address.replace("http://", "ws://") + "/ws/tts"
    headers = {"Authorization": f"Bearer {api_key}"}
    async with connect(url, additional_headers=headers) as one, connect(url, additional_headers=headers) as two:
        first = Reader(one)
        second = Reader(two)
        await first.send(type="start", user="aminah")
        await first.until("ready")
        await second.send(type="start", user="aminah")
        assert await second.to_the_end() == 4429
        assert second.events[-1]["error"]["code"] == "too_many_streams"


async def test_draining_speaks_the_text_received_so_far(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = asyncio.Event()
    monkeypatch.setattr(lifecycle(), "stopping", stopping)
    await reader.send(type="text", text="Selamat pagi. Sila tung")
    await reader.until("sentence")
    stopping.set()
    assert await reader.to_the_end() == 4503
    assert [event["text"] for event in reader.events if event["type"] == "sentence"] == ["Selamat pagi.", "Sila tung"]
    assert reader.kinds()[-2:] == ["usage", "error"]


async def test_without_a_key_nothing_is_spoken(server_address: str) -> None:
    async with connect(server_address.replace("http://", "ws://") + "/ws/tts") as connection:
        reader = Reader(connection)
        assert await reader.to_the_end() == 4401
    assert reader.events[-1]["error"]["code"] == "missing_credentials"


async def test_a_client_that_vanishes_is_billed_for_what_was_sent(server_address: str, api_key: str) -> None:
    url = server_address.replace("http://", "ws://") + "/ws/tts"
    async with connect(url, additional_headers={"Authorization": f"Bearer {api_key}"}) as connection:
        reader = Reader(connection)
        await reader.send(type="text", text="Ayat yang panjang supaya lama dibaca oleh suara ini. " * 10)
        await reader.until("sentence")
        await reader.read()
        connection.transport.abort()
    [row] = await rows()
    assert row.characters > 0


async def test_a_split_emoji_waits_for_its_second_half(reader: Reader) -> None:
    await reader.connection.send('{"type": "text", "text": "Selamat pagi \\ud83d"}')
    await reader.connection.send('{"type": "text", "text": "\\ude00 semua. Apa khabar? \\ud83d"}')
    await reader.send(type="end")
    assert await reader.to_the_end() == 1000
    spoken = " ".join(event["text"] for event in reader.events if event["type"] == "sentence")
    assert "Selamat pagi" in spoken and "semua" in spoken and "Apa khabar" in spoken
    assert reader.audio


async def test_a_lone_surrogate_is_reported_as_an_error(reader: Reader) -> None:
    await reader.connection.send('{"type": "start", "voice": "\\ud83d"}')
    assert await reader.to_the_end() == 4404
    assert reader.kinds() == ["error"]
