from __future__ import annotations

import asyncio
import base64
import io
import json
import wave

import httpx
import numpy as np
import pytest

from inference import runtime
from inference.errors import EngineUnavailable, OverCapacity
from tests.tts.listening import heard, seconds
from tts.encoding import AudioFormat
from tts.espeak_engine import EspeakEngine
from tts.units import Speech, SpeechUnit
from tts.voices import OPENAI_VOICES
from usage.models import LedgerEntry

SHORT = "Selamat pagi."
LONG = " ".join(f"Ini ayat nombor {number} dalam perenggan yang panjang ini." for number in range(1, 16))


async def speak(api: httpx.AsyncClient, **fields: object) -> httpx.Response:
    body = {"input": SHORT, "model": "tts-1", "voice": "alloy", **fields}
    return await api.post("/v1/audio/speech", json=body)


async def last_entry() -> LedgerEntry:
    return await LedgerEntry.objects.order_by("pk").alast()  # type: ignore[return-value]


async def test_it_speaks(api: httpx.AsyncClient) -> None:
    response = await speak(api)
    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/mpeg"
    assert 0.6 < seconds(response.content) < 3


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("audio_format", "content_type"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
    ],
)
async def test_formats(api: httpx.AsyncClient, audio_format: str, content_type: str, text: str) -> None:
    response = await speak(api, input=text, response_format=audio_format)
    assert response.headers["content-type"] == content_type
    length = len(response.content) / 48_000 if audio_format == "pcm" else seconds(response.content)
    assert (0.6 < length < 3) if text == SHORT else (30 < length < 90)


async def test_short_and_cached_wav_files_state_their_length(api: httpx.AsyncClient) -> None:
    short = await speak(api, response_format="wav")
    streamed = await speak(api, input=LONG, response_format="wav")
    cached = await speak(api, input=LONG, response_format="wav")
    for data in (short.content, cached.content):
        with wave.open(io.BytesIO(data)) as file:
            assert file.getnframes() * 2 + 44 == len(data)
    assert streamed.content[44:] == cached.content[44:]
    assert "content-length" not in streamed.headers
    assert int(cached.headers["content-length"]) == len(cached.content)


async def test_speed(api: httpx.AsyncClient) -> None:
    lengths = [len((await speak(api, input=LONG, response_format="pcm", speed=s)).content) for s in (1, 2, 4, 0.5)]
    assert [lengths[0] / length for length in lengths[1:]] == pytest.approx([2, 4, 0.5], rel=0.1)


@pytest.mark.parametrize("voice", [*OPENAI_VOICES, "ms+f3", "en-us", "cmn", "ta", {"id": "ms"}])
async def test_voices(api: httpx.AsyncClient, voice: object) -> None:
    assert (await speak(api, voice=voice, response_format="opus")).status_code == 200


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "espeak-ng", None])
async def test_models(api: httpx.AsyncClient, model: str | None) -> None:
    assert (await speak(api, model=model)).status_code == 200


async def test_the_language_chooses_the_voice_if_none_is_named(api: httpx.AsyncClient) -> None:
    await api.post("/v1/audio/speech", json={"input": "Good morning.", "language": "en"})
    entry = await last_entry()
    assert (entry.voice, entry.language) == ("en-us", "en")


async def test_all_fields_of_openai_are_accepted(api: httpx.AsyncClient) -> None:
    response = await speak(api, instructions="Speak softly.", stream_format="audio", user="u-1", extra="ignored")
    assert response.status_code == 200
    assert (await last_entry()).user == "u-1"


async def test_events(api: httpx.AsyncClient) -> None:
    plain = await speak(api, input=LONG, response_format="pcm")
    response = await speak(api, input=LONG, response_format="pcm", stream_format="sse")
    assert response.headers["content-type"] == "text/event-stream"
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == plain.content
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    assert usage["input_tokens"] == len(LONG)


async def test_markdown_is_read_naturally(api: httpx.AsyncClient) -> None:
    marked = await speak(api, input="## **Selamat** _pagi_ 😀", response_format="pcm")
    plain = await speak(api, input="Selamat pagi", response_format="pcm")
    assert len(marked.content) == pytest.approx(len(plain.content), rel=0.1)


@pytest.mark.parametrize("fields", [{}, {"input": LONG}, {"stream_format": "sse"}], ids=["whole", "streamed", "sse"])
async def test_ledger(api: httpx.AsyncClient, fields: dict[str, str]) -> None:
    before = await LedgerEntry.objects.acount()
    response = await speak(api, voice="nova", response_format="pcm", **fields)
    assert await LedgerEntry.objects.acount() == before + 1
    entry = await last_entry()
    assert (entry.status, entry.model, entry.voice, entry.language) == (200, "espeak-ng", "ms+f2", "ms")
    assert entry.characters == len(fields.get("input", SHORT))
    if "stream_format" not in fields:
        assert entry.audio_ms == pytest.approx(len(response.content) / 48, abs=1)
    assert entry.audio_ms > 500


async def test_cached_speech_is_the_same_and_is_counted(api: httpx.AsyncClient) -> None:
    first = await speak(api, input=LONG)
    units = runtime.status()["espeak-ng"].units
    second = await speak(api, input=LONG)
    assert second.content == first.content
    assert runtime.status()["espeak-ng"].units == units
    assert (await last_entry()).audio_ms > 30_000


BAD_INPUT: list[tuple[dict[str, object], int, str, str | None]] = [
    ({"input": ""}, 400, "empty_input", "input"),
    ({"input": "  \n\t"}, 400, "empty_input", "input"),
    ({"input": "a" * 4097}, 413, "input_too_long", "input"),
    ({"input": "é" * 4097}, 413, "input_too_long", "input"),
    ({"input": None}, 400, "invalid_value", "input"),
    ({"input": 5}, 400, "invalid_value", "input"),
    ({"input": ["a"]}, 400, "invalid_value", "input"),
    ({"input": {"text": "a"}}, 400, "invalid_value", "input"),
    ({"input": True}, 400, "invalid_value", "input"),
    ({"input": "Apa\x00 khabar"}, 400, "invalid_value", "input"),
    ({"model": "gpt-5"}, 404, "model_not_found", "model"),
    ({"model": "whisper-1"}, 404, "model_not_found", "model"),
    ({"model": 1}, 400, "invalid_value", "model"),
    ({"voice": "nobody"}, 404, "voice_not_found", "voice"),
    ({"voice": {"id": "nobody"}}, 404, "voice_not_found", "voice"),
    ({"voice": {"name": "ms"}}, 400, "invalid_value", "voice"),
    ({"voice": ["ms"]}, 400, "invalid_value", "voice"),
    ({"voice": 7}, 400, "invalid_value", "voice"),
    ({"voice": ""}, 400, "invalid_value", "voice"),
    ({"speed": 0.2}, 400, "invalid_value", "speed"),
    ({"speed": 4.1}, 400, "invalid_value", "speed"),
    ({"speed": -1}, 400, "invalid_value", "speed"),
    ({"speed": "1"}, 400, "invalid_value", "speed"),
    ({"speed": True}, 400, "invalid_value", "speed"),
    ({"speed": [1]}, 400, "invalid_value", "speed"),
    ({"speed": 10**400}, 400, "invalid_value", "speed"),
    ({"response_format": "midi"}, 400, "invalid_value", "response_format"),
    ({"response_format": 3}, 400, "invalid_value", "response_format"),
    ({"response_format": ["mp3"]}, 400, "invalid_value", "response_format"),
    ({"stream_format": "ws"}, 400, "invalid_value", "stream_format"),
    ({"language": "bahasa melayu"}, 400, "invalid_value", "language"),
    ({"language": 1}, 400, "invalid_value", "language"),
    ({"language": "xx"}, 400, "invalid_value", "language"),
    ({"instructions": 1}, 400, "invalid_value", "instructions"),
    ({"user": {"id": 1}}, 400, "invalid_value", "user"),
]


@pytest.mark.parametrize(("fields", "status", "code", "param"), BAD_INPUT)
async def test_bad_input(
    api: httpx.AsyncClient, fields: dict[str, object], status: int, code: str, param: str | None
) -> None:
    response = await speak(api, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert (await last_entry()).status == status


async def test_missing_input(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/audio/speech", json={"model": "tts-1", "voice": "alloy"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "missing_field", "input")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"input": NaN}',
        b'{"input": "\\ud800"}',
        b"[" * 100_000,
        b'{"input": "Hai", "response_format": "\\ud800"}',
        b'{"input": "Hai", "stream_format": "\\udc00"}',
    ],
)
async def test_bodies_that_are_not_an_object(api: httpx.AsyncClient, body: bytes) -> None:
    response = await api.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] in {"invalid_value", "missing_field"}


async def test_a_number_with_too_many_digits_is_refused_in_our_own_words(api: httpx.AsyncClient) -> None:
    body = b'{"input": "ya", "speed": ' + b"9" * 5000 + b"}"
    response = await api.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "JSON parse error - a number has too many digits"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400 + ".0"])
async def test_a_number_that_is_too_large_is_refused_in_every_field(api: httpx.AsyncClient, number: str) -> None:
    body = f'{{"input": "ya", "unknown": [{number}]}}'.encode()
    response = await api.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == f"JSON parse error - the number {number[:50]} is too large"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"input": "ya", "voice": "aisyah", "input": "tidak"}', "'input'"),
        ('{"input": "ya", "digits": 1, "digits": 1}', "'digits'"),
        ('{"input": "ya", "more": [{"a": 1, "b": 2, "a": 1}]}', "'a'"),
        (f'{{"input": "ya", "{"x" * 999}": 1, "{"x" * 999}": 2}}', f"'{'x' * 50}'"),
    ],
    ids=["own", "digits", "nested", "long"],
)
async def test_an_object_with_a_repeated_name_is_refused(api: httpx.AsyncClient, body: str, name: str) -> None:
    response = await api.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_value", None)
    assert error["message"] == f"JSON parse error - an object has the name {name} more than once"


@pytest.mark.parametrize("text", ["a" * 4096, "\x01\x02 ya", "ö" * 300, "\u202eapa khabar", "你好 apa khabar"])
async def test_odd_text_is_spoken(api: httpx.AsyncClient, text: str) -> None:
    body = json.dumps({"input": text}).encode()
    response = await api.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 200


async def test_simultaneous_requests_get_their_own_speech(api: httpx.AsyncClient) -> None:
    texts = [f"{'Selamat pagi kawan. ' * (number % 5 + 1)}" for number in range(40)]
    expected = [len((await speak(api, input=text, response_format="pcm")).content) for text in texts[:5]]
    responses = await asyncio.gather(
        *(speak(api, input=text, response_format="pcm", voice="ms", speed=1.0 + 1e-9) for text in texts)
    )
    for number, response in enumerate(responses):
        assert response.status_code == 200
        assert len(response.content) == pytest.approx(expected[number % 5], rel=0.02)


@pytest.mark.parametrize(
    ("error", "code"),
    [(OverCapacity(2.0), "over_capacity"), (EngineUnavailable("no such library"), "engine_unavailable")],
)
@pytest.mark.parametrize("text", [SHORT, LONG], ids=["whole", "streamed"])
async def test_a_failing_engine_gives_503(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, text: str
) -> None:
    async def fail(self: EspeakEngine, unit: SpeechUnit) -> Speech:
        raise error

    monkeypatch.setattr(EspeakEngine, "submit", fail)
    response = await speak(api, input=text)
    assert (response.status_code, response.json()["error"]["code"]) == (503, code)
    assert response.headers["retry-after"]
    assert "no such library" not in response.text


@pytest.mark.parametrize("audio_format", list(AudioFormat))
@pytest.mark.parametrize("text", ["😀🎉👍🏽", "...", "***\n\n---\n\n[]()"])
async def test_text_without_words_gives_a_moment_of_silence(
    api: httpx.AsyncClient, text: str, audio_format: AudioFormat
) -> None:
    response = await speak(api, input=text, response_format=audio_format)
    assert response.status_code == 200
    is_pcm = audio_format is AudioFormat.PCM
    samples = np.frombuffer(response.content, "<i2") if is_pcm else heard(response.content)[1]
    assert len(samples) == pytest.approx(0.2 * 24_000, abs=0.06 * 24_000)
    assert np.abs(samples).max() < 10


async def test_ignored_instructions_are_reported(api: httpx.AsyncClient) -> None:
    assert "not followed" in (await speak(api, input=SHORT, instructions="Cakap gembira.")).headers["warning"]
    assert "warning" not in (await speak(api, input=SHORT, instructions=" ")).headers


async def test_an_engine_that_returns_no_samples_gives_no_empty_file(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hush(self: EspeakEngine, unit: SpeechUnit) -> Speech:
        return Speech(np.zeros(0, np.float32), 22_050)

    monkeypatch.setattr(EspeakEngine, "submit", hush)
    for text in (SHORT, LONG):
        response = await speak(api, input=text, response_format="pcm")
        assert (response.status_code, len(response.content)) == (200, 2 * round(0.2 * 24_000))


class PacedEngine:
    """The default engine, except that every sentence after the first waits until the test sets ``go``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = asyncio.Event()
        self.waiting = 0
        submit = EspeakEngine.submit

        async def paced(engine: EspeakEngine, unit: SpeechUnit) -> Speech:
            if unit.admitted:
                self.waiting += 1
                try:
                    await self.go.wait()
                finally:
                    self.waiting -= 1
            return await submit(engine, unit)

        monkeypatch.setattr(EspeakEngine, "submit", paced)


@pytest.mark.parametrize("audio_format", list(AudioFormat))
async def test_the_first_sentence_is_sent_while_the_others_are_spoken(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, audio_format: AudioFormat
) -> None:
    engine = PacedEngine(monkeypatch)
    body = {"input": LONG, "response_format": audio_format}
    async with api.stream("POST", "/v1/audio/speech", json=body) as response:
        received = response.aiter_raw()
        first = await anext(received)
        assert len(first) > 1000
        assert engine.waiting > 0
        engine.go.set()
        rest = b"".join([data async for data in received])
    assert len(rest) > 5 * len(first)


async def test_a_client_that_disconnects_is_billed_for_what_it_received(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = PacedEngine(monkeypatch)
    body = {"input": LONG, "response_format": "pcm"}
    async with api.stream("POST", "/v1/audio/speech", json=body) as response:
        await anext(response.aiter_raw())
    async with asyncio.timeout(5):
        while not await LedgerEntry.objects.aexists():
            await asyncio.sleep(0.02)
    entry = await last_entry()
    assert entry.status == 499
    assert 0 < entry.characters < len(LONG) / 5  # about one of fifteen sentences
    assert 0 < entry.audio_ms < 6000
    assert engine.waiting == 0


async def test_voices_list(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/v1/audio/voices")).json()
    assert answer["object"] == "list"
    voices = {voice["id"]: voice for voice in answer["data"]}
    assert voices["ms"] == {
        "id": "ms",
        "object": "voice",
        "name": "Malay, man (default)",
        "language": "ms",
        "languages": ["ms"],
        "gender": "male",
        "engine": "espeak-ng",
        "model": "espeak-ng",
        "license": "GPL-3.0-or-later",
        "commercial_use": True,
        "aliases": ["alloy", "cedar"],
        "default": True,
    }
    assert {alias for voice in answer["data"] for alias in voice["aliases"]} == set(OPENAI_VOICES)
    assert [voice["id"] for voice in answer["data"] if voice["default"]] == ["ms"]


async def test_models_list(api: httpx.AsyncClient) -> None:
    models = {model["id"] for model in (await api.get("/v1/models")).json()["data"]}
    assert {"espeak-ng", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"} <= models


@pytest.mark.parametrize("audio_format", list(AudioFormat))
async def test_the_schema_lists_the_formats(api: httpx.AsyncClient, audio_format: AudioFormat) -> None:
    schema = (await api.get("/schema/", headers={"Accept": "application/json"})).text
    assert audio_format.value in schema


async def test_the_script_shows_the_text_that_would_be_spoken(api: httpx.AsyncClient) -> None:
    response = await api.post(
        "/v1/audio/speech/script", json={"input": "**Harga:** RM3.50. 😀\n\nThe bus leaves at 9am."}
    )
    assert response.status_code == 200
    assert [line["spoken"] for line in response.json()["data"]] == [
        "Harga: tiga ringgit lima puluh sen.",
        "The bus leaves at nine A M.",
    ]
    assert await LedgerEntry.objects.acount() == 0


async def test_scripts_have_the_limits_of_speech(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/audio/speech/script", json={"input": " "})).status_code == 400
    assert (await api.post("/v1/audio/speech/script", json={"input": "a" * 4097})).status_code == 413
    assert (await api.post("/v1/audio/speech/script", json={"input": "a", "language": "xx"})).status_code == 400
