from __future__ import annotations

import asyncio
import dataclasses

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection

from core.models import ClientApplication
from tests.usage.ledgers import entry_of
from usage import ledger_writer
from usage.entry import Entry
from usage.ledger_writer import LedgerWriter
from usage.models import LedgerEntry


@pytest.fixture
async def entry(transactional_db) -> Entry:
    client = await ClientApplication.objects.acreate(name="chat")
    return entry_of(client.pk, settlement=None)


@pytest.fixture
async def ledger():
    ledger = LedgerWriter()
    yield ledger
    await ledger.close()


async def test_it_works(ledger: LedgerWriter, entry: Entry) -> None:
    await ledger.write(entry)
    expected = dataclasses.asdict(entry)
    del expected["reservation"]
    assert await LedgerEntry.objects.values(*expected).aget() == expected


async def test_simultaneous_rows_share_a_commit(ledger: LedgerWriter, entry: Entry, monkeypatch) -> None:
    commits: list[int] = []

    def commit(entries: list[Entry]) -> list[DatabaseError | None]:
        commits.append(len(entries))
        return original(entries)

    original = ledger_writer.commit
    monkeypatch.setattr(ledger_writer, "commit", commit)
    entries = [dataclasses.replace(entry, request_id=f"req_{number}") for number in range(100)]
    await asyncio.gather(*map(ledger.write, entries))
    assert sum(commits) == await LedgerEntry.objects.acount() == 100
    assert len(commits) <= 3


async def test_a_rejected_row_does_not_affect_others_in_the_commit(ledger: LedgerWriter, entry: Entry) -> None:
    bad = dataclasses.replace(entry, status=None)
    outcomes = await asyncio.gather(*map(ledger.write, [entry, bad, entry]), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(outcomes[1]), type(None)]
    assert isinstance(outcomes[1], DatabaseError)
    assert await LedgerEntry.objects.acount() == 2


async def test_a_row_is_written_although_its_caller_is_cancelled(ledger: LedgerWriter, entry: Entry) -> None:
    leaving = asyncio.ensure_future(ledger.write(entry))
    await asyncio.sleep(0)
    leaving.cancel()
    await ledger.write(entry)
    assert await LedgerEntry.objects.acount() == 2


async def test_a_commit_is_one_transaction(ledger: LedgerWriter, entry: Entry, django_assert_num_queries) -> None:
    def count() -> None:
        # Queries: BEGIN, the rows, three daily roll-ups, a check for known days, the quota used in the month, COMMIT.
        usual = 8
        # A user's first request on a day needs four more (days, week, active and returning users), and PostgreSQL's
        # lock.
        with django_assert_num_queries(usual + 4 + (connection.vendor == "postgresql")):
            ledger_writer.commit([entry] * 50)
        with django_assert_num_queries(usual):
            ledger_writer.commit([entry] * 50)

    await sync_to_async(count)()


async def test_a_request_is_settled_only_once(ledger: LedgerWriter, entry: Entry) -> None:
    once, other = (dataclasses.replace(entry, settlement=letter * 32) for letter in "ab")
    await ledger.write(once)
    await asyncio.gather(ledger.write(once), ledger.write(other))
    assert [row.settlement async for row in LedgerEntry.objects.order_by("settlement")] == ["a" * 32, "b" * 32]
