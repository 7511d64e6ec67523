from __future__ import annotations

import asyncio

import httpx

from core.store import MemoryStore
from gateway import idempotency
from tests import sound
from usage.models import LedgerEntry

SPEECH = {"input": "Selamat pagi. Apa khabar?", "response_format": "wav"}


async def speak(api: httpx.AsyncClient, key: str, **body: object) -> httpx.Response:
    return await api.post("/v1/audio/speech", json={**SPEECH, **body}, headers={"Idempotency-Key": key})


async def test_a_retry_gets_the_first_answer_and_no_second_row(api: httpx.AsyncClient) -> None:
    first = await speak(api, "k-1")
    second = await speak(api, "k-1")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert await LedgerEntry.objects.acount() == 1


async def test_a_repeated_json_answer_has_its_content_type(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-json"}
    asked = [await api.post("/v1/audio/speech/script", json={"input": "RM2"}, headers=headers) for _ in range(2)]
    assert [answer.headers["Content-Type"] for answer in asked] == ["application/json"] * 2
    assert asked[1].headers["Idempotent-Replayed"] == "true"


async def test_a_retry_while_the_first_runs_waits_for_it(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(speak(api, "k-2") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await LedgerEntry.objects.acount() == 1


async def test_another_request_with_the_same_key(api: httpx.AsyncClient) -> None:
    await speak(api, "k-3")
    response = await speak(api, "k-3", input="Lain.")
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("idempotency_mismatch", "Idempotency-Key")


async def transcribe(api: httpx.AsyncClient, data: bytes, **fields: str) -> httpx.Response:
    files = {"file": ("clip.wav", data)}
    return await api.post("/v1/audio/transcriptions", files=files, data=fields, headers={"Idempotency-Key": "k-u"})


async def test_an_upload_is_compared_by_its_content(api: httpx.AsyncClient) -> None:
    one = sound.wav(sound.said("selamat pagi"))
    first = await transcribe(api, one)
    second = await transcribe(api, one)
    assert first.json() == second.json()  # although the two multipart bodies have different boundaries
    assert second.headers["Idempotent-Replayed"] == "true"
    other = one[:-2] + bytes([one[-2] ^ 1, one[-1]])
    assert (await transcribe(api, other)).json()["error"]["code"] == "idempotency_mismatch"
    assert (await transcribe(api, one, user="siti")).json()["error"]["code"] == "idempotency_mismatch"
    assert (await transcribe(api, one, user="aina")).json()["error"]["code"] == "idempotency_mismatch"


async def test_work_that_is_done_again_is_charged_again(api: httpx.AsyncClient) -> None:
    """The stored response was evicted, so the work was done again."""
    await speak(api, "k-8")
    store = idempotency._store()
    assert isinstance(store, MemoryStore)
    store._values.clear()
    await speak(api, "k-8")
    assert await LedgerEntry.objects.acount() == 2


async def test_the_same_key_of_another_user_is_another_key(api: httpx.AsyncClient) -> None:
    await speak(api, "k-4")
    headers = {"Idempotency-Key": "k-4", "X-Voice-User": "orang-lain"}
    response = await api.post("/v1/audio/speech", json=SPEECH, headers=headers)
    assert "Idempotent-Replayed" not in response.headers
    assert await LedgerEntry.objects.acount() == 2


async def test_client_errors_are_repeated_too(api: httpx.AsyncClient) -> None:
    first = await speak(api, "k-5", speed=99)
    second = await speak(api, "k-5", speed=99)
    assert (first.status_code, second.status_code) == (400, 400)
    assert first.json() == second.json()
    assert await LedgerEntry.objects.acount() == 1


async def test_server_errors_are_not_repeated(api: httpx.AsyncClient, monkeypatch) -> None:
    from gateway.lifecycle import lifecycle

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle(), "draining", True)
        assert (await speak(api, "k-6")).status_code == 503
    assert (await speak(api, "k-6")).status_code == 200


async def test_an_invalid_key_is_refused(api: httpx.AsyncClient) -> None:
    assert (await speak(api, "x" * 256)).status_code == 400


async def test_charged_work_is_not_charged_again_if_its_answer_is_lost(api: httpx.AsyncClient) -> None:
    """A process was killed before it stored the response, so a retry repeats the work."""
    first = await speak(api, "k-7")
    store = idempotency._store()
    assert isinstance(store, MemoryStore)
    store._values.clear()
    idempotency._given.clear()
    second = await speak(api, "k-7")
    assert (first.status_code, second.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in second.headers
    assert await LedgerEntry.objects.acount() == 1
