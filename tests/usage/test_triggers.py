"""Database triggers prevent changes to ledger rows."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from usage import triggers
from usage.models import LedgerEntry


def sql(query: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query)


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE usage_ledgerentry SET characters = 1",
        "UPDATE usage_ledgerentry SET status = 503",
        "UPDATE usage_ledgerentry SET created_at = '2020-01-01 00:00:00+00:00'",
        "UPDATE usage_ledgerentry SET counters_id = id",
        """UPDATE usage_ledgerentry SET "user" = 'bala'""",
        "UPDATE usage_ledgerentry SET request_id = 'another'",
        "DELETE FROM usage_ledgerentry",
    ],
)
def test_changes_of_ledger_rows_are_refused(fill: Fill, query: str) -> None:
    fill(100)
    before = LedgerEntry.objects.values().get()
    with pytest.raises(DatabaseError, match="append-only"):
        sql(query)
    assert LedgerEntry.objects.values().get() == before


def test_a_user_id_may_only_be_replaced_by_a_pseudonym(fill: Fill) -> None:
    fill(100)
    sql("""UPDATE usage_ledgerentry SET "user" = 'gone:1', request_id = ''""")
    assert LedgerEntry.objects.get().user == "gone:1"


def test_every_column_is_protected(chat: ClientApplication) -> None:
    columns = {field.column for field in LedgerEntry._meta.concrete_fields} - triggers.PERSONAL
    guarded = next(guard.event for guard in triggers._guards() if guard.trigger == "usage_ledgerentry_fixed")
    assert {name.strip(' "') for name in guarded.removeprefix("UPDATE OF ").split(",")} == columns


@pytest.mark.django_db(transaction=True)
def test_triggers_survive_a_migration_that_alters_the_table(fill: Fill) -> None:
    fill(100)
    triggers.remove(connection)
    field = models.CharField(max_length=99, default="")
    field.set_attributes_from_name("further")
    with connection.schema_editor() as editor:
        editor.add_field(LedgerEntry, field)
        editor.remove_field(LedgerEntry, field)
    call_command("migrate", verbosity=0)
    with pytest.raises(DatabaseError, match="append-only"):
        sql("DELETE FROM usage_ledgerentry")


@pytest.mark.django_db(transaction=True)
def test_migrating_backwards_and_forwards(fill: Fill) -> None:
    fill(100)
    before = LedgerEntry.objects.values().get()
    call_command("migrate", "usage", "0003", verbosity=0)
    call_command("migrate", "usage", verbosity=0)
    assert LedgerEntry.objects.values().get() == before
    with pytest.raises(DatabaseError, match="append-only"):
        sql("DELETE FROM usage_ledgerentry")


def test_triggers_may_be_installed_again(fill: Fill) -> None:
    fill(100)
    triggers.install(connection)
    with pytest.raises(DatabaseError, match="append-only"):
        sql("DELETE FROM usage_ledgerentry")
