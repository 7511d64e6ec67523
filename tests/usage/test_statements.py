"""Statements agree with the ledger to the unit and to the millionth of a ringgit. Final statements never change."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import floor

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from usage import statement_export
from usage.counter_entry import CounterEntryError, take_back
from usage.entry import Kind
from usage.ledger_posting import write
from usage.models import CreditNote, LedgerEntry, Plan, PlanAssignment, Statement, StatementLine
from usage.period import month_before, month_of, start_of
from usage.statement_generation import draft_client, draft_month, finalise, finalise_month, overcharged_sen
from usage.statements import SETTLING, StatementError


def last_month() -> date:
    """Return the first day of the latest month whose statements can be final."""
    return month_before(month_of(timezone.now() - SETTLING))


def moment(month: date, day: int = 5) -> datetime:
    return start_of(month.replace(day=day)) + timedelta(hours=9)


@pytest.fixture
def final(chat: ClientApplication, small_plan: Plan, fill: Fill) -> Statement:
    """The final statement of a user who has used 1,000 characters beyond the included 500. They cost 20 sen."""
    fill(1500, at=moment(last_month()))
    draft_month(last_month())
    return finalise(Statement.objects.get(user="aminah"), by="siti")


class TestTenThousandRows:
    def plan(self, name: str, chance: random.Random) -> Plan:
        return Plan.objects.create(
            name=name,
            included_audio_minutes=chance.randrange(9),
            micros_per_audio_minute=chance.randrange(90_001),
            included_characters=chance.randrange(9000),
            micros_per_1000_characters=chance.randrange(300_007),
        )

    def test_the_totals_equal_an_independent_sum(self, small_plan: Plan) -> None:
        chance = random.Random(7)
        clients = [ClientApplication.objects.create(name=f"app-{number}") for number in range(2)]
        plans = {name: self.plan(name, chance) for name in ("bronze", "silver", "gold")}
        mine: dict[tuple[int, str], Plan] = {}
        for client in clients:
            for number in range(20):
                name = chance.choice(["small", *plans])
                mine[(client.pk, f"u{number}")] = small_plan if name == "small" else plans[name]
                if name != "small":
                    long_ago = timezone.now() - timedelta(days=300)
                    PlanAssignment.objects.create(
                        client=client, user=f"u{number}", plan=plans[name], starts_at=long_ago
                    )
        month = last_month()
        months = [month, month_before(month), month_before(month_before(month))]
        rows = []
        for _ in range(10_000):
            kind = chance.choice(list(Kind))
            at = start_of(chance.choice(months)) + timedelta(seconds=chance.randrange(28 * 86400))
            rows.append(
                LedgerEntry(
                    request_id="r",
                    kind=kind.value,
                    client=chance.choice(clients),
                    user=f"u{chance.randrange(20)}",
                    audio_ms=chance.randrange(90_000),
                    characters=chance.randrange(900) if kind is Kind.SPEECH else 0,
                    status=chance.choice([200, 200, 200, 499, 503]),
                    created_at=at,
                )
            )
        for start in range(0, len(rows), 500):
            write(rows[start : start + 500])

        for month in months:
            draft_month(month)
            call_command("statements", "finalise", month=month, stdout=io.StringIO())
        expected = self.independent(rows, mine)
        per_client: dict[tuple[int, date], int] = defaultdict(int)
        for (client_id, user, month), micros in expected.items():
            statement = Statement.objects.get(client_id=client_id, user=user, month=month)
            assert statement.total_micros == micros, statement
            assert statement.lines.aggregate(sum=Sum("amount_micros"))["sum"] == micros
            per_client[(client_id, month)] += micros
        for (client_id, month), micros in per_client.items():
            statement = Statement.objects.get(client_id=client_id, user="", month=month)
            assert statement.total_micros == micros > 0
            assert statement.lines.aggregate(sum=Sum("amount_micros"))["sum"] == micros
        assert Statement.objects.count() == len(expected) + len(per_client)
        charged = [row for row in rows if row.status in (200, 499)]
        of_users = StatementLine.objects.exclude(statement__user="")
        assert of_users.aggregate(sum=Sum("units"))["sum"] == sum(
            row.characters if row.kind == "speech" else row.audio_ms for row in charged
        )
        for query in ("UPDATE usage_statement SET total_micros = 0", "DELETE FROM usage_statementline"):
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(query)

    def independent(self, rows: list[LedgerEntry], plans: dict) -> dict[tuple[int, str, date], int]:
        """Compute the amounts of the statements in another way: row by row, with fractions."""
        used: dict[tuple[int, str, date, str], int] = defaultdict(int)
        for row in rows:
            if row.status in (200, 499):
                month = timezone.localtime(row.created_at).date().replace(day=1)
                units = row.characters if row.kind == "speech" else row.audio_ms
                used[(row.client_id, row.user, month, row.kind)] += units
        totals: dict[tuple[int, str, date], int] = {}
        for client_id, user, month in {key[:3] for key in used}:
            plan = plans[(client_id, user)]
            free = {"audio": plan.included_audio_minutes * 60_000, "text": plan.included_characters}
            total = 0
            for kind in ("transcription", "translation", "speech", "realtime"):
                what = "text" if kind == "speech" else "audio"
                units = used.get((client_id, user, month, kind), 0)
                price = (
                    Fraction(plan.micros_per_1000_characters, 1000)
                    if what == "text"
                    else Fraction(plan.micros_per_audio_minute, 60_000)
                )
                paid = max(0, units - free[what])
                free[what] -= min(units, free[what])
                total += floor(paid * price + Fraction(1, 2))
            totals[(client_id, user, month)] = total
        return totals


class TestDrafts:
    def test_it_works(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        fill(360_000, Kind.TRANSCRIPTION, at=moment(last_month()))
        fill(120_000, Kind.REALTIME, at=moment(last_month()))
        fill(400, at=moment(last_month()))
        assert draft_month(last_month()) == 2
        statement = Statement.objects.get(user="aminah")
        lines = {line.kind: (line.units, line.included_units, line.amount_micros) for line in statement.lines.all()}
        assert lines == {
            "transcription": (360_000, 300_000, 50_000),
            "realtime": (120_000, 0, 100_000),
            "speech": (400, 400, 0),
        }
        assert (statement.total_micros, statement.total_sen, statement.total) == (150_000, 15, "RM 0.15")
        assert Statement.objects.get(user="").total_micros == 150_000

    def test_drafts_follow_the_ledger(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        row = fill(1500, at=moment(last_month()))
        draft_month(last_month())
        pk = Statement.objects.get(user="aminah").pk
        take_back(row, why="a test call", by="siti", units=1000)
        fill(100, at=moment(last_month()))
        draft_month(last_month())
        statement = Statement.objects.get(user="aminah")
        assert (statement.pk, statement.total_micros, statement.lines.get().units) == (pk, 20_000, 600)

    def test_a_draft_whose_usage_was_taken_back_completely_is_empty(
        self, chat: ClientApplication, small_plan: Plan, fill: Fill
    ) -> None:
        row = fill(1500, at=moment(last_month()))
        draft_month(last_month())
        take_back(row, why="a test call", by="siti")
        assert draft_month(last_month()) == 2
        assert set(Statement.objects.values_list("state", "total_micros")) == {("draft", 0)}
        assert not StatementLine.objects.exists()

    def test_a_plan_applies_to_the_whole_month_in_which_it_starts(
        self, chat: ClientApplication, small_plan: Plan, fill: Fill
    ) -> None:
        dear = Plan.objects.create(name="dear", micros_per_1000_characters=1_000_000)
        PlanAssignment.objects.create(client=chat, user="aminah", plan=dear, starts_at=moment(last_month(), 20))
        before = month_before(last_month())
        for month in (before, last_month()):
            fill(1500, at=moment(month))
            draft_month(month)
        totals = Statement.objects.filter(user="aminah").order_by("month").values_list("total_micros", flat=True)
        assert list(totals) == [200_000, 1_500_000]

    def test_a_month_without_use_has_no_statement(self, chat: ClientApplication) -> None:
        assert draft_month(last_month()) == 0


class TestFinal:
    def test_a_running_month_cannot_be_made_final(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        fill(100)
        draft_month(month_of(timezone.now()))
        with pytest.raises(StatementError, match="month is over"):
            finalise(Statement.objects.get(user="aminah"), by="siti")
        with pytest.raises(CommandError):
            call_command("statements", "finalise", month=month_of(timezone.now()), stdout=io.StringIO())

    @pytest.mark.parametrize("month", ["9999-12", "1999-12", "0001-01"])
    @pytest.mark.parametrize("action", ["draft", "finalise"])
    def test_the_command_refuses_an_impossible_month(self, action: str, month: str) -> None:
        with pytest.raises(CommandError, match="This month"):
            call_command("statements", action, "--month", month, stdout=io.StringIO())

    def test_a_draft_is_recalculated_before_it_becomes_final(
        self, chat: ClientApplication, small_plan: Plan, fill: Fill
    ) -> None:
        fill(1500, at=moment(last_month()))
        draft_month(last_month())
        fill(1000, at=moment(last_month()))
        done = finalise(Statement.objects.get(user="aminah"), by="siti")
        assert (done.total_micros, done.finalised_by, done.is_final) == (400_000, "siti", True)

    def test_all_drafts_of_a_month_are_made_final(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        fill(1500, at=moment(last_month()))
        fill(2500, at=moment(last_month()), user="budi")
        assert finalise_month(last_month(), by="siti") == 3
        totals = dict(Statement.objects.filter(state="final", finalised_by="siti").values_list("user", "total_micros"))
        assert totals == {"aminah": 200_000, "budi": 400_000, "": 600_000}
        assert finalise_month(last_month(), by="siti") == 0

    def test_a_month_whose_usage_was_taken_back_completely(
        self, chat: ClientApplication, small_plan: Plan, fill: Fill
    ) -> None:
        row = fill(1500, at=moment(last_month()))
        draft_month(last_month())
        take_back(row, why="a test call", by="siti")
        assert finalise_month(last_month(), by="siti") == 2
        assert set(Statement.objects.values_list("state", "total_micros")) == {("final", 0)}

    def test_a_final_statement_cannot_be_made_final_again(self, final: Statement) -> None:
        with pytest.raises(StatementError, match="final already"):
            finalise(final, by="siti")

    def test_drafting_does_not_change_a_final_statement(self, final: Statement, fill: Fill) -> None:
        fill(9000, at=moment(last_month()))
        draft_client(final.client_id, last_month())
        assert Statement.objects.get(pk=final.pk).total_micros == 200_000
        assert Statement.objects.get(user="").total_micros == 2_000_000

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE usage_statement SET total_micros = 0 WHERE id = {0}",
            "UPDATE usage_statement SET state = 'draft', finalised_at = NULL WHERE id = {0}",
            """UPDATE usage_statement SET "user" = 'bala' WHERE id = {0}""",
            "UPDATE usage_statement SET month = '2020-01-01' WHERE id = {0}",
            "UPDATE usage_statementline SET amount_micros = 0 WHERE statement_id = {0}",
            "DELETE FROM usage_statementline WHERE statement_id = {0}",
            "INSERT INTO usage_statementline (statement_id, plan, kind, units, included_units, price_micros,"
            " amount_micros) VALUES ({0}, '', 'speech', 1, 0, 1, 1)",
            "UPDATE usage_statementline SET statement_id = {0} WHERE statement_id <> {0}",
        ],
    )
    def test_the_database_refuses_changes_of_a_final_statement(self, final: Statement, change: str) -> None:
        before = Statement.objects.values().get(pk=final.pk), list(final.lines.values())
        with pytest.raises(DatabaseError, match="final"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change.format(final.pk))
        assert (Statement.objects.values().get(pk=final.pk), list(final.lines.values())) == before

    def test_the_database_refuses_to_delete_a_final_statement(self, final: Statement) -> None:
        for delete in (final.delete, Statement.objects.filter(pk=final.pk).delete):
            with pytest.raises(DatabaseError, match="final"), transaction.atomic():
                delete()

    def test_a_draft_may_change(self, final: Statement) -> None:
        draft = Statement.objects.get(user="")
        draft.total_micros = 7
        draft.save()
        draft.delete()


class TestCreditNotes:
    def test_it_works(self, final: Statement) -> None:
        note = final.credit(5, why="a wrong price", by="siti")
        assert (final.total, note.amount, final.balance) == ("RM 0.20", "RM 0.05", "RM 0.15")

    @pytest.mark.parametrize(("amount", "why"), [(0, "x"), (-1, "x"), (21, "x"), (1, " ")])
    def test_a_credit_note_needs_a_reason_and_at_most_the_balance(
        self, final: Statement, amount: int, why: str
    ) -> None:
        with pytest.raises(StatementError):
            final.credit(amount, why=why, by="siti")

    def test_credit_notes_together_are_at_most_the_total(self, final: Statement) -> None:
        final.credit(15, why="x", by="siti")
        with pytest.raises(StatementError, match=r"at most RM 0\.05"):
            final.credit(6, why="x", by="siti")

    def test_a_draft_has_no_credit_note(self, final: Statement) -> None:
        with pytest.raises(StatementError, match="draft"):
            Statement.objects.get(user="").credit(1, why="x", by="siti")

    def test_credit_notes_cannot_be_changed(self, final: Statement) -> None:
        note = final.credit(5, why="x", by="siti")
        note.amount_sen = 1
        for change in (note.save, note.delete, CreditNote.objects.all().delete):
            with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
                change()

    def test_overcharged_amount_after_a_counter_entry(self, final: Statement) -> None:
        take_back(LedgerEntry.objects.get(), why="a test call", by="siti", units=600)
        assert overcharged_sen(final) == 12
        final.credit(12, why="a test call", by="siti")
        assert overcharged_sen(final) == 0


class TestCounterEntries:
    def test_a_row_is_taken_back_in_parts(self, chat: ClientApplication, fill: Fill) -> None:
        row = fill(100, at=moment(last_month()))
        first = take_back(row, why="said twice", by="siti", units=30)
        assert (first.characters, first.created_at, first.counters) == (-30, row.created_at, row)
        assert "siti: said twice" in first.note
        assert take_back(row, why="all of it", by="siti").characters == -70
        with pytest.raises(CounterEntryError):
            take_back(row, why="more", by="siti", units=1)

    @pytest.mark.parametrize(("units", "why"), [(0, "x"), (101, "x"), (1, " ")])
    def test_invalid_counter_entries_are_refused(
        self, chat: ClientApplication, fill: Fill, units: int, why: str
    ) -> None:
        with pytest.raises(CounterEntryError):
            take_back(fill(100), why=why, by="siti", units=units)

    def test_a_failed_request_cannot_be_taken_back(self, chat: ClientApplication, fill: Fill) -> None:
        with pytest.raises(CounterEntryError):
            take_back(fill(100, status=503), why="x", by="siti", units=1)

    def test_a_counter_entry_cannot_be_taken_back(self, chat: ClientApplication, fill: Fill) -> None:
        counter = take_back(fill(100), why="x", by="siti")
        with pytest.raises(CounterEntryError):
            take_back(counter, why="x", by="siti", units=1)


class TestDocuments:
    def rows(self, statement: Statement) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(statement_export.as_csv([statement]))))

    def test_csv(self, final: Statement) -> None:
        final.credit(5, why="a wrong price", by="siti")
        line, total, note = self.rows(final)
        assert (
            line.items()
            >= {
                "number": final.number,
                "client": "chat",
                "user": "aminah",
                "state": "final",
                "currency": "MYR",
                "item": "Speech",
                "plan": "small",
                "unit": "characters",
                "quantity": "1500",
                "included": "500",
                "charged": "1000",
                "price": "0.200000",
                "price_per": "1,000 characters",
                "amount": "0.200000",
            }.items()
        )
        assert (total["item"], total["amount"]) == ("Total", "0.20")
        assert (note["amount"], note["note"]) == ("-0.05", "a wrong price")

    def test_audio_is_exported_in_minutes(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        fill(601_234, Kind.TRANSLATION, at=moment(last_month()))
        draft_month(last_month())
        line = self.rows(Statement.objects.get(user="aminah"))[0]
        assert (line["quantity"], line["unit"], line["charged"]) == ("10.021", "minutes", "5.021")

    def test_ids_are_not_exported_as_formulas(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        fill(1, at=moment(last_month()), user="=HYPERLINK(1)")
        draft_month(last_month())
        assert self.rows(Statement.objects.exclude(user="").get())[0]["user"] == "'=HYPERLINK(1)"


def test_exporting_needs_few_queries(final: Statement, django_assert_max_num_queries: Callable) -> None:
    with django_assert_max_num_queries(3):
        statement_export.as_csv(Statement.objects.select_related("client").prefetch_related("lines", "credit_notes"))
