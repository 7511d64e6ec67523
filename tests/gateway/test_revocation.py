"""Streams of a revoked key or a disabled client end soon. A browser's token is valid for one end user only."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from websockets import ConnectionClosed

from core.models import ApiKey, ClientApplication
from tests import sound
from tests.asr.sockets import opened, quiet
from usage.models import LedgerEntry

START = {"type": "start", "sample_rate": 16_000}
WITHIN_S = 5.5


pytestmark = pytest.mark.usefixtures("settled")


async def revoke() -> None:
    await sync_to_async((await ApiKey.objects.aget()).revoke)()


async def switch_off() -> None:
    await ClientApplication.objects.aupdate(is_active=False)


@pytest.mark.parametrize("end", [revoke, switch_off])
@pytest.mark.parametrize("path", ["/ws/asr", "/ws/tts", "/v1/realtime?intent=transcription"])
async def test_revoking_ends_open_sockets(server_address: str, api_key: str, path: str, end) -> None:
    async with opened(server_address, api_key, path=path) as client:
        if path.startswith("/ws"):
            await client.send(START if path == "/ws/asr" else {"type": "start"})
        await asyncio.sleep(0.1)
        await end()
        async with asyncio.timeout(WITHIN_S):
            assert await client.close_code() == 4401


@pytest.mark.parametrize("end", [revoke, switch_off])
async def test_tokens_of_a_revoked_key_are_refused(server_address: str, api: httpx.AsyncClient, end) -> None:
    secret = (await api.post("/v1/realtime/client_secrets", json={"user": "aminah"})).json()["value"]
    await end()
    async with asyncio.timeout(WITHIN_S):
        while (await _first_event(server_address, secret))["type"] != "error":
            await asyncio.sleep(0.2)
    assert (await _first_event(server_address, secret))["error"]["code"] == "invalid_api_key"


async def _first_event(address: str, secret: str) -> dict[str, Any]:
    async with opened(address, None, path=f"/ws/asr?token={secret}") as client:
        with suppress(ConnectionClosed):  # the connection may be closed before it is sent
            await client.send(START)
        return await client.event()


async def test_a_token_bills_only_its_own_user(server_address: str, api: httpx.AsyncClient) -> None:
    secret = (await api.post("/v1/realtime/client_secrets", json={})).json()["value"]
    async with opened(server_address, None, path=f"/ws/asr?token={secret}") as client:
        await client.send({**START, "user": "somebody-else"})
        await client.speak(sound.said("selamat pagi"))
        await client.send({"type": "stop"})
        await client.until("done")
    await quiet()
    row = await LedgerEntry.objects.aget(kind="realtime")
    assert row.user.startswith("key:")


async def test_a_token_of_a_shared_key_must_name_its_user(api: httpx.AsyncClient) -> None:
    headers = {"X-Voice-User": "aminah"}
    assert (await api.post("/v1/audio/speech", json={"input": "Selamat pagi."}, headers=headers)).status_code == 200
    refused = await api.post("/v1/realtime/client_secrets", json={})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "user")
    assert (await api.post("/v1/realtime/client_secrets", json={"user": "aminah"})).status_code == 200
    assert (await api.post("/v1/realtime/client_secrets", json={}, headers=headers)).status_code == 200


async def test_a_browser_can_query_availability(stranger: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    secret = (await api.post("/v1/realtime/client_secrets", json={"user": "aminah"})).json()
    headers = {"Authorization": f"Bearer {secret['value']}"}
    answer = await stranger.get("/v1/voice/availability", headers=headers)
    assert (answer.status_code, answer.json()["user"]) == (200, "aminah")
    refused = await stranger.post("/v1/audio/speech", json={"input": "Hai."}, headers=headers)
    assert refused.status_code == 401  # for other requests, the token is not valid
