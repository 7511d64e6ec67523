"""Ledger entries that could not be written to the database are spooled, and settled exactly once."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as project
from django.db import OperationalError, connection
from django.utils import timezone

from core.db_health import database
from core.models import ClientApplication
from tests.usage.ledgers import entry_of
from usage import checkpoints, ledger_writer
from usage.checkpoints import UsageCheckpoint
from usage.entry import Entry
from usage.ledger_writer import LedgerWriter, ledger
from usage.models import Consumption, DailyUse, LedgerEntry, OpenStream
from usage.spool import REFUSED, Spool, SpooledEntry

pytestmark = pytest.mark.usefixtures("undrained")

AT = datetime(2026, 10, 31, 15, 59, tzinfo=timezone.get_fixed_timezone(0))


@pytest.fixture
def client(transactional_db) -> ClientApplication:
    return ClientApplication.objects.create(name="chat")


@pytest.fixture
def entry(client: ClientApplication) -> Entry:
    return entry_of(client.pk)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture(autouse=True)
def back() -> None:
    yield
    database.note_available()


@pytest.fixture
def gone(monkeypatch) -> None:
    """Let every commit to the ledger fail."""
    monkeypatch.setattr(ledger_writer, "commit", lambda entries: [OperationalError("gone")] * len(entries))


def rows() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("id").values_list("settlement", "characters"))


def test_it_works(spool: Spool, entry: Entry) -> None:
    spool.keep(SpooledEntry(entry, AT))
    assert not spool.is_empty
    assert spool.drain(ledger_writer.settle) == 1
    assert spool.is_empty
    row = LedgerEntry.objects.get()
    assert (row.settlement, row.created_at, row.user, row.characters) == (entry.settlement, AT, "aminah", 10)
    assert DailyUse.objects.get().day.month == 10  # the day of the work, not that of the settlement
    assert Consumption.objects.get().used == 10


def test_a_duplicate_line_is_settled_once(spool: Spool, client: ClientApplication) -> None:
    entries = [entry_of(client.pk) for _ in range(250)]
    ledger_writer.commit(entries[:5])  # these commits succeeded although an error was reported
    for one in [*entries, *entries[:120]]:
        spool.keep(SpooledEntry(one, AT))
    spool.drain(ledger_writer.settle)
    assert sorted(rows()) == sorted((one.settlement, 10) for one in entries)
    assert Consumption.objects.filter(month__month=10).get().used == 245 * 10


def test_a_drain_that_the_database_interrupts_continues_later(spool: Spool, client: ClientApplication) -> None:
    entries = [entry_of(client.pk) for _ in range(250)]
    for one in entries:
        spool.keep(SpooledEntry(one, AT))
    calls: list[int] = []

    def interrupted(kept: Sequence[SpooledEntry]) -> list[SpooledEntry]:
        calls.append(len(kept))
        if len(calls) == 2:
            raise OperationalError("gone again")
        return ledger_writer.settle(kept)

    with pytest.raises(OperationalError):
        spool.drain(interrupted)
    spool.drain(ledger_writer.settle)
    assert sorted(rows()) == sorted((one.settlement, 10) for one in entries)
    assert spool.is_empty


def test_a_rejected_entry_does_not_stop_the_others(spool: Spool, client: ClientApplication, tmp_path: Path) -> None:
    entries = [entry_of(client.pk, status=None if number == 3 else 200) for number in range(6)]
    for one in entries:
        spool.keep(SpooledEntry(one, AT))
    spool.drain(ledger_writer.settle)
    assert len(rows()) == 5
    (line,) = (tmp_path / "spool" / REFUSED).read_bytes().splitlines()
    assert SpooledEntry.from_json(line).entry == entries[3]
    assert spool.is_empty


def test_an_incomplete_line_is_ignored(spool: Spool, entry: Entry, tmp_path: Path) -> None:
    spool.keep(SpooledEntry(entry, AT))
    spool.release()
    (path,) = (tmp_path / "spool").glob("*.jsonl")
    path.write_bytes(path.read_bytes() + SpooledEntry(entry, AT).as_line()[:50])
    spool.drain(ledger_writer.settle)
    assert len(rows()) == 1


KEEPS_AND_DIES = """
import os, sys
from contextlib import suppress
from pathlib import Path
import django
django.setup()
from usage.spool import SpooledEntry, Spool
spool = Spool(Path(sys.argv[1]))
spool.keep(SpooledEntry.from_json(sys.argv[2]))
print("kept", flush=True)
sys.stdin.read()
os._exit(9)
"""


def test_the_spool_of_a_killed_process_is_settled_by_another(spool: Spool, entry: Entry, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "spool"), SpooledEntry(entry, AT).as_line().decode()]
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPS_AND_DIES, *arguments],
        cwd=project.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"kept\n"
    assert spool.drain(ledger_writer.settle) == 0
    process.kill()
    process.wait()
    assert spool.drain(ledger_writer.settle) == 1
    assert rows() == [(entry.settlement, 10)]


def test_spool_files_are_private_and_hold_only_ledger_rows(spool: Spool, entry: Entry, tmp_path: Path) -> None:
    spool.keep(SpooledEntry(entry, AT))
    (path,) = (tmp_path / "spool").glob("*.jsonl")
    assert (path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0)
    assert SpooledEntry.from_json(path.read_bytes()) == SpooledEntry(entry, AT)


async def test_the_writer_spools_and_drains(gone, client: ClientApplication, settings, tmp_path, monkeypatch) -> None:
    settings.VOICE_STATE_DIR = tmp_path
    row_writer = LedgerWriter()
    entries = [entry_of(client.pk) for _ in range(3)]
    for one in entries:
        await row_writer.write(one)  # the first notices that the database is gone; the others are spooled at once
    assert database.is_unavailable
    assert await LedgerEntry.objects.acount() == 0
    await row_writer.drain()
    assert not database.is_unavailable
    assert {row.settlement async for row in LedgerEntry.objects.all()} == {one.settlement for one in entries}
    assert row_writer.spool.is_empty
    await row_writer.close()


@pytest.mark.parametrize("is_recovered", [False, True])
async def test_a_stream_with_a_checkpoint_counts_once(
    client: ClientApplication, settings, tmp_path, monkeypatch, is_recovered: bool
) -> None:
    """A stream ends while the database is unavailable.

    Another process may settle the checkpoint of the stream before the spooled entry is settled.
    """
    checkpoint = UsageCheckpoint()
    total = entry_of(client.pk, characters=40)
    await checkpoint.save(dataclasses.replace(total, characters=30))
    database.note_unavailable(OperationalError("gone"))
    await checkpoint.settle(total)
    assert await OpenStream.objects.acount() == 1
    if is_recovered:
        await OpenStream.objects.aupdate(noted_at=timezone.now() - timedelta(hours=1))
        await sync_to_async(checkpoints.recover)()
    database.note_available()
    await ledger().drain()
    characters = [row.characters async for row in LedgerEntry.objects.order_by("id")]
    assert characters == ([30, 10] if is_recovered else [40])
    assert await OpenStream.objects.acount() == 0


async def test_queued_rows_are_written_together(client: ClientApplication, monkeypatch) -> None:
    commits: list[int] = []
    original = ledger_writer.settle
    monkeypatch.setattr(ledger_writer, "settle", lambda kept: (commits.append(len(kept)), original(kept))[1])
    row_writer = LedgerWriter()
    before = timezone.now()
    for number in range(30):
        row_writer.enqueue(entry_of(client.pk, status=503, characters=0, request_id=f"req_{number}"))
    noted_by = timezone.now()
    await row_writer.drain()
    assert commits == [30]
    times = [row.created_at async for row in LedgerEntry.objects.all()]
    assert len(times) == 30
    assert all(before <= time <= noted_by for time in times)
    assert (await DailyUse.objects.aget()).failed == 30
    await row_writer.close()


async def test_queued_rows_are_written_before_the_process_ends(client: ClientApplication) -> None:
    row_writer = LedgerWriter()
    row_writer.enqueue(entry_of(client.pk, status=503))
    await row_writer.close()
    assert await LedgerEntry.objects.acount() == 1


async def test_queued_rows_are_spooled_during_an_outage(client: ClientApplication, monkeypatch) -> None:
    def gone(_kept: object) -> list[SpooledEntry]:
        raise OperationalError("gone")

    row_writer = LedgerWriter()
    with monkeypatch.context() as patched:
        patched.setattr(ledger_writer, "settle", gone)
        row_writer.enqueue(entry_of(client.pk, status=503))
        with pytest.raises(OperationalError):
            await row_writer.drain()
    assert not row_writer.spool.is_empty
    await row_writer.drain()
    assert (row_writer.spool.is_empty, await LedgerEntry.objects.acount()) == (True, 1)
    await row_writer.close()


async def test_queued_rows_survive_a_cancelled_write(client: ClientApplication) -> None:
    row_writer = LedgerWriter()
    may_go_on = threading.Event()
    busy = asyncio.create_task(row_writer.run(may_go_on.wait))  # keeps the ledger's thread busy
    await asyncio.sleep(0)
    for _ in range(3):
        row_writer.enqueue(entry_of(client.pk, status=503))
    writing = asyncio.create_task(row_writer.drain())
    await asyncio.sleep(0.05)
    writing.cancel()
    await asyncio.wait([writing])
    may_go_on.set()
    await busy
    await row_writer.close()
    assert (writing.cancelled(), await LedgerEntry.objects.acount()) == (True, 3)


def test_only_the_first_row_waits_for_an_unavailable_database(client: ClientApplication, monkeypatch) -> None:
    tries: list[str] = []

    def refuses(_parameters: object) -> None:
        tries.append("connect")  # takes 3 s if nothing answers
        raise OperationalError("gone")

    def breaks(_entries: object) -> None:
        connection.connection.close()
        raise OperationalError("server closed the connection")

    connection.ensure_connection()
    with monkeypatch.context() as patched:
        patched.setattr(ledger_writer, "post_entries", breaks)
        patched.setattr(connection, "get_new_connection", refuses)
        patched.setattr(connection, "rollback", lambda: connection.close())
        for _ in range(2):  # the second one does not try to connect
            outcomes = ledger_writer.commit([entry_of(client.pk), entry_of(client.pk)])
            assert [type(outcome) for outcome in outcomes] == [OperationalError] * 2
    assert tries == ["connect"]


async def test_recovers_after_database_and_disk_failed(client: ClientApplication, monkeypatch) -> None:
    def gone(_kept: object) -> list[SpooledEntry]:
        raise OperationalError("gone")

    def full(_kept: object) -> None:
        raise OSError(28, "No space left on device")

    row_writer = LedgerWriter()
    monkeypatch.setattr(row_writer.spool, "keep", full)
    with monkeypatch.context() as patched:
        patched.setattr(ledger_writer, "settle", gone)
        row_writer.enqueue(entry_of(client.pk, status=503))
        with suppress(OperationalError):
            await row_writer.drain()
    for _ in range(2):  # while the disk is still full
        with suppress(OperationalError):
            await row_writer.drain()
    assert (database.unavailable_s, await LedgerEntry.objects.acount()) == (0, 1)
    await row_writer.close()
