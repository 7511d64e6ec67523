"""Admin lists of large tables are searched by whole ids and filtered by month, without reading all rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from usage.entry import Kind
from usage.ledger_posting import write
from usage.models import Correction, LedgerEntry

LEDGER = "/admin/usage/ledgerentry/"
DAILY = "/admin/usage/dailyuse/"


@pytest.fixture
def boss(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("siti"))
    return client


@pytest.fixture
def rows(fill: Fill) -> list[LedgerEntry]:
    zone = timezone.get_default_timezone()
    days = [(2025, 12, 31), (2026, 2, 1), (2026, 2, 28), (2026, 4, 2)]
    return [
        fill(
            100, Kind.TRANSCRIPTION, at=datetime(*day, 23, 30, tzinfo=zone), user=f"u{number}", request_id=f"r{number}"
        )
        for number, day in enumerate(days)
    ]


def shown(client: Client, address: str) -> list[str]:
    return [row.user for row in client.get(address).context_data["cl"].result_list]


class TestSearch:
    @pytest.mark.parametrize("term", ["u2", "r2"])
    def test_it_works(self, boss: Client, rows: list[LedgerEntry], term: str) -> None:
        assert shown(boss, f"{LEDGER}?q={term}") == ["u2"]

    @pytest.mark.parametrize("term", ["u", "U2", "u2 u1"])
    def test_parts_of_ids_are_not_found(self, boss: Client, rows: list[LedgerEntry], term: str) -> None:
        assert shown(boss, f"{LEDGER}?q={term}") == []

    def test_search_and_filter_combine(self, boss: Client, rows: list[LedgerEntry], fill: Fill) -> None:
        fill(5, Kind.SPEECH, user="u2")
        assert len(shown(boss, f"{LEDGER}?q=u2")) == 2
        assert len(shown(boss, f"{LEDGER}?q=u2&kind__exact=speech")) == 1

    def test_finds_a_user_of_every_client_application(self, boss: Client, rows: list[LedgerEntry], fill: Fill) -> None:
        fill(5, user="u2", client=ClientApplication.objects.create(name="helpdesk"))
        assert shown(boss, f"{LEDGER}?q=u2") == ["u2", "u2"]

    def test_searches_through_a_relation(self, boss: Client, rows: list[LedgerEntry]) -> None:
        for row in rows[:2]:
            Correction.objects.create(entry=row, word_error_rate=0.1, reference_words=10)
        page = boss.get("/admin/usage/correction/?q=u1")
        assert [one.entry_id for one in page.context_data["cl"].result_list] == [rows[1].pk]


class TestMonths:
    def test_lists_the_years_with_rows(self, boss: Client, rows: list[LedgerEntry]) -> None:
        page = boss.get(LEDGER).content.decode()
        assert "created_at__year=2025" in page and "created_at__year=2026" in page

    def test_lists_the_months_of_a_year(self, boss: Client, rows: list[LedgerEntry]) -> None:
        page = boss.get(f"{LEDGER}?created_at__year=2026").content.decode()
        months = [month for month in range(1, 13) if f"created_at__month={month}&" in page or f'month={month}"' in page]
        assert months == [2, 3, 4]

    def test_lists_the_days_of_a_month(self, boss: Client, rows: list[LedgerEntry]) -> None:
        address = f"{LEDGER}?created_at__year=2026&created_at__month=2"
        assert "created_at__day=14" in boss.get(address).content.decode()
        assert shown(boss, address) == ["u2", "u1"]
        assert shown(boss, f"{address}&created_at__day=28") == ["u2"]

    def test_works_for_date_columns(self, boss: Client, rows: list[LedgerEntry]) -> None:
        assert "day__year=2025" in boss.get(DAILY).content.decode()
        assert boss.get(f"{DAILY}?day__year=2026&day__month=2").content.decode().count("day__day=") >= 27

    def test_an_empty_table(self, boss: Client) -> None:
        assert boss.get(LEDGER).status_code == 200
        assert boss.get(f"{LEDGER}?created_at__year=2026").status_code == 200


@pytest.mark.parametrize("address", [LEDGER, f"{LEDGER}?created_at__year=2026", f"{LEDGER}?q=u1", DAILY])
def test_no_query_reads_all_rows(boss: Client, rows: list[LedgerEntry], address: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        boss.get(address)
    sql = [query["sql"] for query in asked.captured_queries]
    assert not [one for one in sql if "DISTINCT" in one and ("created_at" in one or '"day"' in one)]
    assert not [one for one in sql if "UPPER" in one or " LIKE " in one]


class TestPages:
    @pytest.fixture
    def many(self, chat: ClientApplication) -> list[str]:
        """The users of many rows, those of the newest row first."""
        now = timezone.now()
        rows = [
            LedgerEntry(
                kind=Kind.SPEECH,
                client=chat,
                user=f"u{number}",
                status=200,
                characters=1,
                created_at=now + timedelta(microseconds=number),
            )
            for number in range(237)
        ]
        with transaction.atomic():
            write(rows)
        return [row.user for row in rows][::-1]

    @pytest.mark.parametrize("page", [1, 2, 3, 4, 5])
    def test_every_page_has_its_rows(self, boss: Client, many: list[str], page: int) -> None:
        assert shown(boss, f"{LEDGER}?p={page}") == many[50 * (page - 1) : 50 * page]

    def test_pages_in_reverse_order(self, boss: Client, many: list[str]) -> None:
        assert shown(boss, f"{LEDGER}?o=0&p=5") == many[:37][::-1]

    def test_the_last_page_needs_no_offset(self, boss: Client, many: list[str]) -> None:
        with CaptureQueriesContext(connection) as asked:
            boss.get(f"{LEDGER}?p=5")
        assert not [query["sql"] for query in asked.captured_queries if "OFFSET" in query["sql"]]

    def test_a_page_beyond_the_last(self, boss: Client, many: list[str]) -> None:
        assert boss.get(f"{LEDGER}?p=77").status_code in (200, 302)
