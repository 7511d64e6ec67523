from __future__ import annotations

import pytest
from django.core.management import call_command

from core.append_only import AppendOnly
from core.models import ClientApplication
from usage.models import LedgerEntry


@pytest.fixture
def entry(db) -> LedgerEntry:
    client = ClientApplication.objects.create(name="chat")
    return LedgerEntry.objects.create(request_id="req_1", kind="speech", client=client, user="u", status=200)


def test_a_ledger_row_cannot_be_changed_or_deleted(entry: LedgerEntry) -> None:
    entry.status = 500
    for change in (
        entry.save,
        entry.delete,
        LedgerEntry.objects.all().delete,
        lambda: LedgerEntry.objects.update(status=500),
        lambda: LedgerEntry.objects.bulk_update([entry], ["status"]),
    ):
        with pytest.raises(AppendOnly):
            change()
    assert LedgerEntry.objects.get().status == 200


def test_a_repeated_request_id_gets_its_own_row(entry: LedgerEntry) -> None:
    LedgerEntry.objects.create(request_id="req_1", kind="speech", client=entry.client, user="u", status=200)
    assert LedgerEntry.objects.filter(request_id="req_1").count() == 2


def test_the_migrations_match_the_models(db) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
