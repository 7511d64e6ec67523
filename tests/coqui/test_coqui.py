"""Coqui with small checkpoints, loaded by the service and used through its API."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from pathlib import Path

import httpx
import pytest

from inference import runtime
from inference.errors import EngineUnavailable
from tests.tts.listening import seconds
from tts import coqui
from tts.encoding import SAMPLE_RATE

PARAGRAPH = "Selamat pagi semua. Hari ini hujan turun. Kami duduk di rumah. Ibu memasak nasi. Adik membaca buku."


async def speech(api: httpx.AsyncClient, **fields: object) -> httpx.Response:
    response = await api.post("/v1/audio/speech", json={"input": "Selamat pagi.", "model": "coqui/satu", **fields})
    assert response.status_code == 200, response.text
    return response


async def test_voices_have_descriptions_and_licences(api: httpx.AsyncClient) -> None:
    await speech(api)
    voices = {voice["id"]: voice for voice in (await api.get("/v1/audio/voices")).json()["data"]}
    one = voices["coqui/satu"]
    assert (one["name"], one["language"], one["engine"]) == ("Suara Ujian", "ms", "coqui")
    assert (one["license"], one["commercial_use"]) == ("CC-BY-NC-4.0", False)
    assert voices["coqui/ramai"]["license"] == coqui.UNKNOWN_LICENSE
    assert {f"coqui/ramai/penutur-{number}" for number in range(3)} < set(voices)


async def test_models_are_offered(api: httpx.AsyncClient) -> None:
    models = {model["id"] for model in (await api.get("/v1/models")).json()["data"]}
    assert {"coqui/satu", "coqui/ramai", "espeak-ng"} <= models


async def test_it_speaks_a_wav(api: httpx.AsyncClient) -> None:
    response = await speech(api, response_format="wav")
    with wave.open(io.BytesIO(response.content)) as file:
        assert file.getframerate() == SAMPLE_RATE
        assert file.getnframes() > 0.1 * SAMPLE_RATE


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac"])
async def test_it_speaks_every_format(api: httpx.AsyncClient, audio_format: str) -> None:
    assert seconds((await speech(api, response_format=audio_format)).content) > 0.1


async def test_openai_names_are_voices_of_the_model(api: httpx.AsyncClient) -> None:
    assert (await speech(api, model="coqui/ramai", voice="nova")).content


@pytest.mark.parametrize("voice", ["coqui/ramai/penutur-0", "coqui/ramai/penutur-2"])
async def test_speakers(api: httpx.AsyncClient, voice: str) -> None:
    response = await speech(api, model="tts-1", voice=voice, input=PARAGRAPH, response_format="flac")
    assert seconds(response.content) > 0.5


async def test_sentences_go_through_the_model_together(api: httpx.AsyncClient) -> None:
    before = runtime.status()["coqui"]
    await speech(api, input=f"{PARAGRAPH} {PARAGRAPH}", response_format="pcm")
    after = runtime.status()["coqui"]
    assert after.units - before.units == 10
    assert after.largest_batch > 1
    assert after.batches - before.batches < 10


async def test_the_first_bytes_come_before_the_last_sentence_is_spoken(api: httpx.AsyncClient) -> None:
    before = runtime.status()["coqui"].units
    body = {"input": " ".join([PARAGRAPH] * 10), "model": "coqui/satu", "response_format": "pcm"}
    async with api.stream("POST", "/v1/audio/speech", json=body) as response:
        assert response.status_code == 200
        received = response.aiter_raw()
        assert await anext(received)
        assert runtime.status()["coqui"].units - before < 50
        assert [data async for data in received]


async def test_events(api: httpx.AsyncClient) -> None:
    response = await speech(api, input=PARAGRAPH, stream_format="sse", response_format="pcm")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line]
    assert events[-1]["type"] == "speech.audio.done"
    assert all(base64.b64decode(event["audio"]) for event in events[:-1])


async def test_requests_batch_with_each_other(api: httpx.AsyncClient) -> None:
    texts = [f"Ini ayat {word} sahaja." for word in ("satu", "dua", "tiga", "empat", "lima", "enam")]
    before = runtime.status()["coqui"]
    await asyncio.gather(*(speech(api, input=text) for text in texts))
    after = runtime.status()["coqui"]
    assert after.batches - before.batches < after.units - before.units


async def test_speed(api: httpx.AsyncClient) -> None:
    assert (await speech(api, speed=2.5)).content


async def test_an_unsupported_script_is_spoken_by_another_voice(
    api: httpx.AsyncClient,
) -> None:
    body = {"input": "你好", "model": "coqui/satu"}
    response = await api.post("/v1/audio/speech", json={**body, "response_format": "pcm"})
    assert response.status_code == 200
    assert len(response.content) > 2 * 24_000 // 5  # longer than the silence for a text without words


def test_a_folder_without_a_checkpoint_is_reported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineUnavailable, match=r"no \*\.pth"):
        coqui.load(coqui.describe(str(tmp_path)))


def test_licences_come_from_coquis_own_list() -> None:
    source = coqui.describe("tts_models/multilingual/multi-dataset/xtts_v2")
    assert (source.license, source.commercial_use) == ("CPML", False)
    assert coqui.describe("tts_models/en/ljspeech/vits").commercial_use is True
