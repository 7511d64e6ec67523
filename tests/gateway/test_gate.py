"""Each request for speech work gets exactly one ledger row, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from django.db import OperationalError
from pytest_django import Settings

from capacity.concurrent_users import TooManyUsers
from core.context import RequestContext, enter
from core.db_health import database
from core.error_codes import ErrorCode
from core.errors import ApiError, as_api_error
from core.identity import Caller
from core.models import ClientApplication
from gateway.gate import Kind, Work, WorkStream, request_gate
from gateway.lifecycle import lifecycle
from inference.errors import OverCapacity
from rollout import policy
from rollout.models import Flag, ListedUser
from usage import ledger_writer
from usage.models import Consumption, LedgerEntry
from usage.plans import Plan
from usage.quota import QuotaExceeded
from usage.spool import Spool, SpooledEntry

LONG = "Selamat pagi semua. Hari ini hujan turun dengan lebat sekali. Kami duduk di rumah sahaja. " * 30


@pytest.fixture
async def request_of_a_caller(voice_on) -> SimpleNamespace:
    enter(RequestContext(id="req_1"))
    client = await ClientApplication.objects.acreate(name="chat")
    return SimpleNamespace(user=Caller(client.pk, "chat", "key:vk_x", "vk_x", "key:vk_x"))


async def the_row() -> LedgerEntry:
    return await LedgerEntry.objects.aget()


async def eventually_the_row() -> LedgerEntry:
    for _ in range(200):
        if await LedgerEntry.objects.aexists():
            break
        await asyncio.sleep(0.02)
    return await the_row()


async def chunks(*parts: bytes | Exception) -> AsyncGenerator[bytes, None]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


async def test_it_works(request_of_a_caller) -> None:
    async with request_gate(request_of_a_caller.user, Kind.SPEECH) as work:
        work.model = "espeak-ng"
        work.voice = "ms"
        work.language = "ms"
        work.characters = 12
        work.audio_ms = 345.6
        work.queue_ms = 7.2
    row = await the_row()
    assert (row.request_id, row.kind, row.user, row.status, row.error_code) == ("req_1", "speech", "key:vk_x", 200, "")
    assert (row.model, row.voice, row.language) == ("espeak-ng", "ms", "ms")
    assert (row.characters, row.audio_ms, row.queue_ms) == (12, 346, 7)


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (ApiError(ErrorCode.INVALID_AUDIO, "x"), 400, "invalid_audio"),
        (OverCapacity(1), 503, "over_capacity"),
        (RuntimeError(), 500, "internal_error"),
        (asyncio.CancelledError(), 499, "client_closed_request"),
    ],
)
async def test_a_failed_request_has_a_ledger_row(
    request_of_a_caller, cause: BaseException, status: int, code: str
) -> None:
    with pytest.raises(type(cause)):
        async with request_gate(request_of_a_caller.user, Kind.TRANSCRIPTION):
            raise cause
    row = await the_row()
    assert (row.status, row.error_code) == (status, code)


async def stream(request, *parts: bytes | Exception) -> WorkStream:
    async with request_gate(request.user, Kind.SPEECH) as work:
        return await work.stream(chunks(*parts), content_type="audio/mpeg")


async def test_a_stream_settles_with_its_last_chunk(request_of_a_caller) -> None:
    response = await stream(request_of_a_caller, b"a", b"b", b"c")
    assert not await LedgerEntry.objects.aexists()
    assert [chunk async for chunk in response] == [b"a", b"b", b"c"]
    assert (await the_row()).status == 200


async def test_an_error_before_the_first_chunk_becomes_an_error_response(request_of_a_caller) -> None:
    with pytest.raises(OverCapacity):
        await stream(request_of_a_caller, OverCapacity(1))
    assert (await the_row()).status == 503


async def test_an_error_within_a_stream_ends_it(request_of_a_caller) -> None:
    response = await stream(request_of_a_caller, b"a", OverCapacity(1))
    with pytest.raises(OverCapacity):
        [chunk async for chunk in response]
    assert (await the_row()).status == 503


async def test_an_empty_stream(request_of_a_caller) -> None:
    response = await stream(request_of_a_caller)
    assert [chunk async for chunk in response] == []
    assert (await the_row()).status == 200


async def test_a_client_that_disconnects(api: httpx.AsyncClient) -> None:
    async with api.stream("POST", "/v1/audio/speech", json={"input": LONG, "response_format": "wav"}) as response:
        assert response.status_code == 200
        await anext(response.aiter_raw())
    row = await eventually_the_row()
    assert (row.status, row.error_code) == (499, "client_closed_request")


async def test_one_row_per_request_under_load(api: httpx.AsyncClient) -> None:
    bodies = [{"input": f"Ayat nombor {number}."} for number in range(20)] + [{"input": 5}] * 5
    responses = await asyncio.gather(*(api.post("/v1/audio/speech", json=body) for body in bodies))
    ids = {response.headers["X-Request-Id"]: response.status_code for response in responses}
    rows = {row.request_id: row.status async for row in LedgerEntry.objects.all()}
    assert rows == ids
    assert await LedgerEntry.objects.acount() == len(bodies)


async def test_no_result_without_a_ledger_row(api: httpx.AsyncClient, monkeypatch) -> None:
    def full(_spool: Spool, _kept: SpooledEntry) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(ledger_writer, "commit", lambda entries: [OperationalError("gone")] * len(entries))
    monkeypatch.setattr(Spool, "keep", full)
    response = await api.post("/v1/audio/transcriptions", files={"file": b"nothing"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_unavailable")
    assert "Retry-After" in response.headers
    database.note_available()


async def test_a_request_over_the_rate_limit_has_a_ledger_row(api: httpx.AsyncClient, settings: Settings) -> None:
    settings.VOICE_RATE_LIMIT = 1
    first = await api.get("/v1/models")
    assert (first.status_code, first.headers["X-RateLimit-Remaining-Requests"]) == (200, "0")
    response = await api.post("/v1/audio/speech", json={"input": "Apa khabar?"})
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert response.json()["error"]["type"] == "requests"
    assert (await the_row()).status == 429
    assert (await api.get("/v1/models")).status_code == 429


async def test_no_new_work_while_draining(api: httpx.AsyncClient, monkeypatch) -> None:
    monkeypatch.setattr(lifecycle(), "draining", True)
    response = await api.post("/v1/audio/speech", json={"input": "Apa khabar?"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "over_capacity")
    assert (await the_row()).status == 503
    assert (await api.get("/readyz")).status_code == 503
    assert (await api.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("header", "body", "expected"), [("", "dari-badan", "dari-badan"), ("kepala", "badan", "kepala")]
)
async def test_the_user_field_names_the_user_without_a_header(
    request_of_a_caller, header: str, body: str, expected: str
) -> None:
    caller = request_of_a_caller.user
    work = Work(Kind.SPEECH, replace(caller, user=header or caller.user))
    await work.admit(body)
    assert work.user == expected
    await work.settle()


async def test_the_roll_out_uses_the_user_field(api: httpx.AsyncClient) -> None:
    await Flag.objects.filter(name="voice").aupdate(everyone=None)
    flag = await Flag.objects.aget(name="voice")
    await ListedUser.objects.acreate(flag=flag, user="aminah", list="allow")
    body = {"input": "Apa khabar?"}
    for user, status in (("aminah", 200), ("bala", 403), (None, 403)):
        response = await api.post("/v1/audio/speech", json=body | ({"user": user} if user else {}))
        assert response.status_code == status, user


async def test_a_view_that_forgets_to_admit_returns_nothing(request_of_a_caller) -> None:
    await Flag.objects.aupdate(everyone=None)
    with pytest.raises(policy.VoiceNotEnabled) as refused:
        async with request_gate(request_of_a_caller.user, Kind.SPEECH):
            pass
    assert as_api_error(refused.value).code == "voice_not_enabled"
    with pytest.raises(policy.VoiceNotEnabled):
        await stream(request_of_a_caller, b"a")
    assert {row.status async for row in LedgerEntry.objects.all()} == {403}


async def test_a_view_that_forgets_to_reserve_returns_nothing(request_of_a_caller) -> None:
    await Plan.objects.all().aupdate(is_default=False)
    await Plan.objects.acreate(name="little", is_default=True, hard_characters=100)
    for characters, left in ((90, 10), (20, 10), (10, 0)):
        with suppress(QuotaExceeded):
            async with request_gate(request_of_a_caller.user, Kind.SPEECH) as work:
                work.characters = characters
        row = await Consumption.objects.aget()
        assert (row.used + left, row.reserved) == (100, 0)
    assert {row.status async for row in LedgerEntry.objects.all()} == {200, 429}


async def test_users_beyond_the_limit_are_refused(request_of_a_caller, settings: Settings) -> None:
    settings.VOICE_MAX_CONCURRENT_USERS = 1
    caller = request_of_a_caller.user
    aminah, bala = (SimpleNamespace(user=replace(caller, user=user)) for user in ("aminah", "bala"))
    async with request_gate(aminah.user, Kind.SPEECH):
        async with request_gate(aminah.user, Kind.SPEECH):
            pass  # the same end user does not count twice
        with pytest.raises(TooManyUsers) as refused:
            async with request_gate(bala.user, Kind.SPEECH):
                pass
        answer = as_api_error(refused.value)
        assert (answer.status, answer.code) == (503, "over_capacity")
    async with request_gate(bala.user, Kind.SPEECH):
        pass


async def test_a_caller_that_disconnects_before_the_answer_pays_nothing(request_of_a_caller) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with request_gate(request_of_a_caller.user, Kind.SPEECH) as work:
            work.characters = 50
            raise asyncio.CancelledError
    row = await the_row()
    assert (row.status, row.characters) == (499, 0)
