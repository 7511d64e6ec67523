"""A stream is ended when it has used up the quota."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from usage.models import Consumption, LedgerEntry
from usage.plans import Plan


@pytest.fixture
def little_quota(voice_on) -> None:
    Plan.objects.update(is_default=False)
    Plan.objects.create(name="little", is_default=True, hard_audio_minutes=1, hard_characters=50)


async def test_a_stream_ends_when_its_quota_is_used_up(server_address: str, api_key: str, little_quota) -> None:
    url = server_address.replace("http", "ws", 1) + "/ws/tts"
    headers = {"Authorization": f"Bearer {api_key}"}
    heard = []
    async with connect(url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "start"}))
        for number in range(6):
            await socket.send(json.dumps({"type": "text", "text": f"Ini ayat yang ke-{number}. "}))
        await socket.send(json.dumps({"type": "end"}))
        with pytest.raises(ConnectionClosed):
            while True:
                heard.append(await socket.recv())
    assert socket.close_code == 4429
    assert "quota_exceeded" in heard[-1]
    while not await LedgerEntry.objects.aexists():  # the row is written after the connection has closed
        await asyncio.sleep(0.02)
    row = await LedgerEntry.objects.aget()
    assert (row.status, row.user.startswith("key:")) == (200, True)
    account = await Consumption.objects.aget()
    assert (account.used, account.reserved) == (row.characters, 0)
