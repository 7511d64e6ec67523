"""The admin pages of the usage app: who may view and change what, and that actions on a row ask for confirmation."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from tests.usage.test_statements import last_month, moment
from usage.entry import Kind
from usage.models import Consumption, InfrastructureCost, LedgerEntry, Plan, PlanAssignment, Statement
from usage.statement_generation import draft_month, finalise

LISTS = [
    "ledgerentry",
    "consumption",
    "dailyuse",
    "dailymix",
    "correction",
    "rating",
    "plan",
    "planassignment",
    "infrastructurecost",
    "statement",
]


@pytest.fixture
def boss(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("siti"))
    return client


@pytest.fixture
def product(db) -> Client:
    user = User.objects.create_user("paul", is_staff=True)
    user.groups.add(Group.objects.get(name="Product"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def draft(chat: ClientApplication, small_plan: Plan, fill: Fill) -> Statement:
    fill(1500, at=moment(last_month()))
    fill(60_000, Kind.TRANSCRIPTION, at=moment(last_month()))
    draft_month(last_month())
    return Statement.objects.get(user="aminah")


@pytest.fixture
def final(draft: Statement) -> Statement:
    return finalise(draft, by="siti")


def url(row: Model, action: str = "change") -> str:
    return f"/admin/usage/{type(row).__name__.lower()}/{row.pk}/{action}/"


def act(client: Client, row: Model, action: str, **fields: object) -> str:
    """Choose an action for a row and confirm it; return the HTML of the next page."""
    assert "Cancel" in client.get(url(row, action)).content.decode()
    return client.post(url(row, action), fields, follow=True).content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_for_viewers(product: Client, draft: Statement, name: str) -> None:
    PlanAssignment.objects.create(client=draft.client, user="aminah", plan=Plan.objects.get(name="small"))
    response = product.get(f"/admin/usage/{name}/", {"q": "aminah"})
    assert response.status_code == 200
    assert product.get(f"/admin/usage/{name}/add/").status_code == 403


def test_recorded_rows_cannot_be_edited(boss: Client, final: Statement) -> None:
    for row in (LedgerEntry.objects.all()[0], final, Consumption.objects.all()[0]):
        assert boss.get(url(row)).status_code == 200
        assert boss.post(url(row), {}).status_code == 403
        assert boss.post(url(row, "delete"), {"post": "yes"}).status_code == 403


class TestTakeBack:
    def test_it_works(self, boss: Client, draft: Statement) -> None:
        row = LedgerEntry.objects.get(kind="speech")
        page = act(boss, row, "take-back", units=600, why="a test call")
        assert "Reversed 600 characters of 1,500 characters." in page
        assert row.counter_entries.get().characters == -600

    def test_a_counter_entry_for_audio_is_entered_in_seconds(self, boss: Client, draft: Statement) -> None:
        row = LedgerEntry.objects.get(kind="transcription")
        assert 'value="60.000"' in boss.get(url(row, "take-back")).content.decode()
        assert "Reversed 12.5 s of 1.0 min." in act(boss, row, "take-back", units="12.5", why="a test call")
        assert row.counter_entries.get().audio_ms == -12_500

    def test_more_units_than_the_row_has_are_refused(self, boss: Client, draft: Statement) -> None:
        row = LedgerEntry.objects.get(kind="speech")
        assert "Between 1 and 1500 units" in act(boss, row, "take-back", units=1501, why="x")
        assert not row.counter_entries.exists()

    def test_viewers_cannot_take_back(self, product: Client, draft: Statement) -> None:
        row = LedgerEntry.objects.get(kind="speech")
        assert product.post(url(row, "take-back"), {"units": 1, "why": "x"}).status_code == 403


class TestStatements:
    def test_drafts_are_written(self, boss: Client, chat: ClientApplication, fill: Fill) -> None:
        fill(100, at=moment(last_month()))
        address = "/admin/usage/statement/draft/"
        page = boss.get(address).content.decode()
        assert f'value="{last_month():%Y-%m}"' in page
        page = boss.post(address, {"month": f"{last_month():%Y-%m}"}, follow=True).content.decode()
        assert "Created 2 drafts" in page
        assert Statement.objects.count() == 2

    def test_a_single_draft_is_not_called_drafts(self, boss: Client, draft: Statement) -> None:
        order = {"action": "finalise_selected", "_selected_action": [str(draft.pk)]}
        assert "Make 1 statement final" in boss.post("/admin/usage/statement/", order).content.decode()
        page = boss.post("/admin/usage/statement/", {**order, "sure": "yes"}, follow=True).content.decode()
        assert "1 is final now." in page

    @pytest.mark.parametrize(
        ("month", "problem"),
        [("9999-12", "has not begun yet"), ("0001-01", "is too long ago"), ("2026-13", "valid date")],
    )
    def test_impossible_months_are_refused(self, boss: Client, month: str, problem: str) -> None:
        response = boss.post("/admin/usage/statement/draft/", {"month": month})
        assert (response.status_code, problem in response.content.decode()) == (200, True)

    def test_one_statement_is_made_final(self, boss: Client, draft: Statement) -> None:
        assert "is final: RM 0.20." in act(boss, draft, "final")
        assert Statement.objects.get(pk=draft.pk).finalised_by == "siti"
        again = boss.get(url(draft, "final"))
        assert again.status_code == 403
        assert "has been done already" in again.content.decode()

    def test_several_statements_are_made_final(self, boss: Client, draft: Statement) -> None:
        address = "/admin/usage/statement/"
        chosen = [str(one.pk) for one in Statement.objects.all()]
        order = {"action": "finalise_selected", "_selected_action": chosen}
        page = boss.post(address, order).content.decode()
        assert "Make 2 statements final" in page
        assert not Statement.objects.filter(state="final").exists()
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
        sent: dict[str, list[str]] = {}
        for name, value in hidden:
            sent.setdefault(name, []).append(value)
        assert "2 are final now." in boss.post(address, sent, follow=True).content.decode()
        assert Statement.objects.filter(state="final").count() == 2

    def test_a_credit_note_proposes_the_overcharged_amount(self, boss: Client, final: Statement) -> None:
        boss.post(url(LedgerEntry.objects.get(kind="speech"), "take-back"), {"units": 600, "why": "a test call"})
        assert 'value="0.12"' in boss.get(url(final, "credit")).content.decode()
        assert "of RM 0.12 is written" in act(boss, final, "credit", amount_sen="0.12", why="a test call")
        assert "at most RM 0.08" in act(boss, final, "credit", amount_sen="0.09", why="more")

    def test_a_statement_can_be_printed(self, product: Client, final: Statement) -> None:
        final.credit(5, why="a wrong <price>", by="siti")
        page = product.get(url(final, "print")).content.decode()
        for text in (final.number, "aminah", "1500 characters", "RM 0.20", "-RM 0.05", "RM 0.15", "&lt;price&gt;"):
            assert text in page
        assert "Draft" not in page

    def test_statements_are_downloaded_as_csv(self, product: Client, draft: Statement) -> None:
        response = product.get(url(draft, "csv"))
        assert response["Content-Type"].startswith("text/csv")
        assert f'filename="{draft.number}.csv"' in response["Content-Disposition"]
        assert b"1500,500,1000,0.200000" in response.content
        chosen = [str(one.pk) for one in Statement.objects.all()]
        order = {"action": "download_selected", "_selected_action": chosen}
        lines = product.post("/admin/usage/statement/", order).content.splitlines()
        assert len(lines) == 1 + 2 * 3

    @pytest.mark.parametrize("action", ["final", "credit"])
    def test_viewers_cannot_change_statements(self, product: Client, draft: Statement, action: str) -> None:
        assert product.post(url(draft, action), {"amount_sen": 1, "why": "x"}).status_code == 403
        assert product.post("/admin/usage/statement/draft/", {"month": "2026-01"}).status_code == 403


def test_an_assigned_plan_cannot_be_deleted(boss: Client, chat: ClientApplication, small_plan: Plan) -> None:
    form = {"client": chat.pk, "user": "aminah", "plan": small_plan.pk, "note": "asked for it"}
    form |= {"starts_at_0": "2026-11-01", "starts_at_1": "00:00:00"}
    assert boss.post("/admin/usage/planassignment/add/", form).status_code == 302
    assert boss.post(url(PlanAssignment.objects.get(), "delete"), {"post": "yes"}).status_code == 403


def test_the_cost_page_shows_the_cost_of_the_month(product: Client, fill: Fill) -> None:
    InfrastructureCost.objects.all().delete()
    InfrastructureCost.objects.create(
        resource="other", price_micros=30_000_000, per="month", starts_at=moment(last_month())
    )
    fill(100_000)
    page = product.get("/admin/usage/infrastructurecost/").content.decode()
    assert "USD 30.00" in page
    assert "target &lt; 1,000: met" in page or "target < 1,000: met" in page
    assert "not enough data" in page


def test_money_is_entered_and_shown_in_ringgit_and_dollars(boss: Client, small_plan: Plan) -> None:
    page = boss.get(url(small_plan)).content.decode()
    assert 'value="0.05"' in page
    assert "50000" not in page
    form = {
        "name": "small",
        "included_audio_minutes": 5,
        "included_characters": 500,
        "micros_per_audio_minute": "0.0725",
        "micros_per_1000_characters": "0.20",
    }
    assert boss.post(url(small_plan), form).status_code == 302
    small_plan.refresh_from_db()
    assert (small_plan.micros_per_audio_minute, small_plan.micros_per_1000_characters) == (72_500, 200_000)
    assert "0.0725" in boss.get("/admin/usage/plan/").content.decode()
    cost = InfrastructureCost.objects.create(resource="t4", price_micros=530_000, per="hour")
    assert 'value="0.53"' in boss.get(url(cost)).content.decode()
    assert "USD 0.53 an hour" in boss.get("/admin/usage/infrastructurecost/").content.decode()


@pytest.mark.parametrize("typed", ["five", "-1", "0.0000001", "NaN", "99999999"])
def test_an_invalid_price_is_refused(boss: Client, small_plan: Plan, typed: str) -> None:
    form = {
        "name": "small",
        "included_audio_minutes": 5,
        "included_characters": 500,
        "micros_per_audio_minute": typed,
        "micros_per_1000_characters": "0",
    }
    assert boss.post(url(small_plan), form).status_code == 200
    small_plan.refresh_from_db()
    assert small_plan.micros_per_audio_minute == 50_000


@pytest.mark.parametrize(
    ("outcome", "statuses"), [("succeeded", {200}), ("refused", {403, 429}), ("left", {499}), ("failed", {503})]
)
def test_the_ledger_is_filtered_by_outcome(boss: Client, fill: Fill, outcome: str, statuses: set[int]) -> None:
    for status in (200, 403, 429, 499, 503):
        fill(10, status=status, error_code="" if status == 200 else "code")
    rows = boss.get("/admin/usage/ledgerentry/", {"outcome": outcome}).context["cl"].result_list
    assert {row.status for row in rows} == statuses


@pytest.mark.parametrize("month", ["", "2026-13", "nonsense"])
def test_an_invalid_month_is_ignored_by_the_filter(boss: Client, draft: Statement, month: str) -> None:
    page = boss.get("/admin/usage/statement/", {"month": month})
    assert page.context["cl"].result_count == Statement.objects.count()


def test_statements_are_filtered_by_month(boss: Client, draft: Statement) -> None:
    for month, number in ((last_month(), 2), (timezone.localdate().replace(day=1), 0)):
        page = boss.get("/admin/usage/statement/", {"month": f"{month:%Y-%m}"})
        assert page.context["cl"].result_count == number
