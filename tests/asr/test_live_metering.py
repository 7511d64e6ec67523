"""Live streams are metered even if their process is stopped or killed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from core.models import ClientApplication
from tests import sound
from tests.asr.sockets import START, opened
from tests.services import ROOT, Served, served
from tests.usage.ledgers import entry_of
from usage.checkpoints import UsageCheckpoint, recover
from usage.entry import Entry, Kind
from usage.models import LedgerEntry, OpenStream

TALK = sound.joined([sound.silence(0.3), sound.said("selamat pagi semua apa khabar hari ini")])
RECOVER = "import django; django.setup(); from usage.checkpoints import recover; print(recover(0), recover(0))"


def selected(state: Path, query: str) -> list[tuple]:
    with sqlite3.connect(state / "voice.sqlite3") as database:
        return database.execute(query).fetchall()


async def test_sigterm_finishes_the_utterance_and_settles(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        async with opened(service.url, service.key) as client:
            await client.send(START)
            await client.speak(TALK)
            await client.until("speech_started")
            await asyncio.sleep(0.3)
            service.process.terminate()
            assert await client.close_code() == 4503
        assert service.process.wait(20) == 0
        assert "Traceback" not in service.log.read_text()
    kinds = [event["type"] for event in client.events]
    assert kinds.index("final") < kinds.index("error") == len(kinds) - 1
    assert client.error["code"] == "over_capacity"
    rows = selected(tmp_path / "state", "select kind, status, audio_ms from usage_ledgerentry")
    assert rows == [("realtime", 200, round(len(TALK) / 16))]
    assert selected(tmp_path / "state", "select * from usage_openstream") == []


async def hear_and_kill(service: Served, state: Path) -> None:
    async with opened(service.url, service.key) as client:
        await client.send(START | {"partials": False})
        await client.speak(sound.silence(25))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            noted = selected(state, "select json_extract(entry, '$.audio_ms') from usage_openstream")
            if noted and noted[0][0] >= 20_000:
                break
            await asyncio.sleep(0.1)
        service.process.kill()
        service.process.wait(10)


async def test_a_killed_process_loses_at_most_the_last_seconds_of_usage(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with served(tmp_path) as service:
        await hear_and_kill(service, state)
    assert selected(state, "select count(*) from usage_ledgerentry") == [(0,)]
    environment = {"VOICE_STATE_DIR": str(state), "DJANGO_SETTINGS_MODULE": "voiceproject.settings"}
    recovering = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECOVER, env=os.environ | environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await recovering.communicate()
    assert printed.split() == [b"1", b"0"]
    [(audio_ms, status)] = selected(state, "select audio_ms, status from usage_ledgerentry")
    assert 15_000 <= audio_ms <= 25_000
    assert status == 200


@pytest.fixture
def entry(transactional_db) -> Entry:
    client = ClientApplication.objects.create(name="chat")
    return entry_of(client.pk, kind=Kind.REALTIME, voice="", audio_ms=0, characters=0, settlement=None)


def heard(entry: Entry, audio_ms: int) -> Entry:
    return replace(entry, audio_ms=audio_ms)


async def total() -> int:
    return sum([row.audio_ms async for row in LedgerEntry.objects.all()])


async def test_several_checkpoints_make_one_ledger_row(entry: Entry) -> None:
    checkpoint = UsageCheckpoint()
    for audio_ms in (10_000, 20_000):
        await checkpoint.save(heard(entry, audio_ms))
    assert (await total(), await OpenStream.objects.acount()) == (0, 1)
    await checkpoint.settle(heard(entry, 23_000))
    assert (await total(), await OpenStream.objects.acount(), await LedgerEntry.objects.acount()) == (23_000, 0, 1)


async def test_a_checkpoint_whose_caller_is_cancelled_is_not_counted_twice(entry: Entry) -> None:
    """The stream is interrupted while its checkpoint is being written."""
    checkpoint = UsageCheckpoint()
    saving = asyncio.create_task(checkpoint.save(heard(entry, 10_000)))
    await asyncio.sleep(0)
    saving.cancel()
    await asyncio.wait([saving])
    assert saving.cancelled()
    await checkpoint.settle(heard(entry, 12_000))
    assert (await total(), await OpenStream.objects.acount()) == (12_000, 0)


async def test_a_stream_that_was_taken_for_dead_is_not_counted_twice(entry: Entry) -> None:
    """A process was suspended for so long that another process settled its stream."""
    checkpoint = UsageCheckpoint()
    await checkpoint.save(heard(entry, 10_000))
    assert await sync_to_async(recover)(0) == 1
    await checkpoint.save(heard(entry, 20_000))
    await checkpoint.settle(heard(entry, 25_000))
    assert await total() == 25_000

    second = UsageCheckpoint()
    await second.save(heard(entry, 10_000))
    assert await sync_to_async(recover)(0) == 1
    await second.settle(heard(entry, 15_000))
    assert await total() == 40_000


async def test_recent_checkpoints_are_not_settled_by_other_processes(entry: Entry) -> None:
    await UsageCheckpoint().save(heard(entry, 10_000))
    assert await sync_to_async(recover)() == 0
    await OpenStream.objects.aupdate(noted_at=timezone.now() - timedelta(hours=1))
    assert await sync_to_async(recover)() == 1
