"""Under overload, requests are refused before their bodies are read, with error code, Retry-After and ledger row."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.admission_middleware import controllers
from inference.admission import AdmissionController
from rollout.feature import Feature
from tests import sound
from usage.models import LedgerEntry

SPEECH = {"input": "Selamat pagi."}


async def fill(
    monkeypatch: pytest.MonkeyPatch, feature: Feature, controller: AdmissionController | None = None
) -> AdmissionController:
    controller = controller or AdmissionController(longest_s=1.0, most=0, cost_per_byte=1.0, max_counted_cost=1.0)
    monkeypatch.setitem(controllers(), feature, controller)
    return controller


def unlimited() -> AdmissionController:
    return AdmissionController(longest_s=0.0, most=100, cost_per_byte=1.0, max_counted_cost=100.0)


async def empty(controller: AdmissionController, api: httpx.AsyncClient) -> None:
    """Wait until the controller counts no requests.

    It counts a request until the last byte of the response has been sent.
    """
    for _ in range(500):
        if controller._inside == 0:
            break
        await api.get("/healthz")
    assert controller._inside == 0


async def written() -> LedgerEntry:
    """Wait for the only row of the ledger, and return it.

    The row of an early refusal is written after the response has been sent.
    """
    async with asyncio.timeout(20):
        while not await LedgerEntry.objects.aexists():
            await asyncio.sleep(0.05)
    return await LedgerEntry.objects.aget()


async def transcribe(client: httpx.AsyncClient, data: bytes, path: str = "transcriptions") -> httpx.Response:
    return await client.post(f"/v1/audio/{path}", files={"file": ("clip.wav", data)})


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
async def test_it_works(api: httpx.AsyncClient, monkeypatch, path: str) -> None:
    await fill(monkeypatch, Feature.ASR)
    response = await transcribe(api, sound.wav(sound.said("selamat pagi")), path)
    assert response.status_code == 503
    error = response.json()["error"]
    assert (error["code"], error["type"]) == ("over_capacity", "server_error")
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["X-Request-Id"]
    row = await written()
    assert (row.status, row.error_code, row.audio_ms) == (503, "over_capacity", 0)
    assert (await api.get("/v1/models")).status_code == 200


async def test_speech_and_transcription_have_separate_admission_control(api: httpx.AsyncClient, monkeypatch) -> None:
    await fill(monkeypatch, Feature.ASR)
    assert (await api.post("/v1/audio/speech", json=SPEECH)).status_code == 200
    await fill(monkeypatch, Feature.TTS)
    refusal = await api.post("/v1/audio/speech", json=SPEECH)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (503, "over_capacity")


async def test_availability_reports_over_capacity(api: httpx.AsyncClient, monkeypatch) -> None:
    await fill(monkeypatch, Feature.ASR)
    features = (await api.get("/v1/voice/availability")).json()["features"]
    assert (features["asr"]["available"], features["asr"]["blocked_by"]) == (False, "capacity")
    assert features["tts"]["available"]


async def test_a_connection_can_be_reused_after_a_refused_upload(api: httpx.AsyncClient, monkeypatch) -> None:
    """The body that was not read does not disturb the next request on the same connection."""
    await fill(monkeypatch, Feature.ASR)
    for _ in range(3):
        assert (await transcribe(api, bytes(4_000_000))).status_code == 503
    await fill(monkeypatch, Feature.ASR, unlimited())
    response = await transcribe(api, sound.wav(sound.said("selamat pagi")))
    assert (response.status_code, response.json()["text"]) == (200, "selamat pagi")


async def test_an_unauthenticated_request_has_no_ledger_row(stranger: httpx.AsyncClient, monkeypatch) -> None:
    await fill(monkeypatch, Feature.TTS)
    response = await stranger.post("/v1/audio/speech", json=SPEECH)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "missing_credentials")
    assert await LedgerEntry.objects.acount() == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_every_request_leaves_admission_control(api: httpx.AsyncClient, monkeypatch, fails: bool) -> None:
    controller = await fill(monkeypatch, Feature.ASR, unlimited())
    response = await transcribe(api, b"nothing" if fails else sound.wav(sound.said("selamat pagi")))
    assert response.status_code == (400 if fails else 200)
    await empty(controller, api)
    assert controller._cost == 0.0


async def test_a_caller_that_disconnects_leaves_admission_control(
    api: httpx.AsyncClient, server_address: str, monkeypatch
) -> None:
    controller = await fill(monkeypatch, Feature.TTS, unlimited())
    text = "Selamat pagi semua. " * 200
    async with api.stream("POST", "/v1/audio/speech", json={"input": text, "response_format": "pcm"}) as response:
        assert response.status_code == 200
        assert controller._inside == 1
    await empty(controller, api)
