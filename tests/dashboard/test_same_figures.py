"""A figure that several pages or files show has the same value in all of them.

The data are a demo quarter and some real requests.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from capacity import phase_outlook
from core.models import ClientApplication
from core.quantities import MICROS
from dashboard import homepage_data, timeline
from dashboard.board import Board, csv_of
from dashboard.date_range import DateRange, preset
from dashboard.filters import ALL, Filters
from dashboard.people import digits_of
from dashboard.weekly_summary import Summary, last_whole_week
from rollout.models import Change
from tests.e2e import filling
from tests.emptying import rows_of_several_tests
from tools.demo.filling import fill
from usage import quota
from usage.entry import Measure
from usage.models import ChatUsers, ExchangeRate, LedgerEntry, Statement
from usage.money import in_sen, ringgit
from usage.targets import Metric


@pytest.fixture(scope="module")
def quarter(django_db_setup, django_db_blocker) -> Iterator[date]:
    with rows_of_several_tests(django_db_blocker):
        filling.make_traffic(timezone.now() - timedelta(minutes=20))  # the real requests
        chat = ClientApplication.objects.get(name="chat")
        ChatUsers.objects.create(client=chat, day=timezone.localdate() - timedelta(days=89), users=5000)
        fill(days=90, users=60, rows=3000, sure=True)
        yield timezone.localdate()


@pytest.fixture
def pages(db, quarter: date) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("siti"))
    return client


def board(name: str) -> Board:
    return Board(preset(name, timezone.now()), ALL)


def rows_of(name: str, shown: Board) -> list[dict[str, str]]:
    text = b"".join(csv_of(name, shown)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def streamed(response: Any) -> str:
    async def whole() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    return async_to_sync(whole)().decode()


def figure(html: str, name: str) -> str:
    """Return the value that the admin's first page shows next to a name."""
    found = re.search(rf"<dt>{re.escape(name)}</dt>\s*<dd class=\"value\">([^<]*)<", html)
    assert found is not None, name
    return found.group(1).strip()


def test_figures_that_appear_twice_are_the_same(pages: Client, quarter: date) -> None:
    first_page = pages.get("/admin/").content.decode()
    month = board("month")
    thirty = board("30")
    scores = {score.targets.metric: score for score in thirty.scores}
    of_month = {score.targets.metric: score for score in month.scores}

    # Peak concurrent users: on the first page, in the scorecard and in the chart's table.
    most = figure(first_page, "Peak concurrent users, last 30 days")
    assert most == scores[Metric.PEAK_USERS].shown
    assert int(most) == max(int(row["users"]) for row in rows_of("peak-users", thirty) if row["users"])

    # Active users: on the first page, in the tile, the scorecard, the funnel and the table of clients.
    active = int(figure(first_page, "Active users, last 30 days").replace(",", ""))
    assert active == thirty.active == scores[Metric.ACTIVE_USERS].value == thirty.adoption.steps[2].users
    assert active == sum(int(row["active_30_days"]) for row in rows_of("adoption-by-client", thirty))

    # The month's cost: on the first page, on the dashboard, in their files and on the page of costs.
    costs = pages.get("/admin/usage/infrastructurecost/").content.decode()
    for name, metric in (
        ("An hour of audio", Metric.AUDIO_HOUR_COST),
        ("1,000 characters", Metric.THOUSAND_CHARACTERS_COST),
        ("At the month's end", Metric.MONTH_COST),
    ):
        value = figure(first_page.replace("&#x27;", "'"), name)
        assert value in costs, name
        dollars = float(value.replace("USD", "").replace(",", ""))
        assert dollars == pytest.approx(of_month[metric].value, abs=0.006 if dollars >= 1 else 0.0001)
    of_weeks = sum(float(row["cost_usd"]) for row in rows_of("cost", month))
    spent = figure(first_page, "Spent")
    assert float(spent.replace("USD", "").replace(",", "")) == pytest.approx(of_weeks, abs=0.005)

    # Uptime of the month.
    uptime = figure(first_page, "Uptime this month").replace("\N{NO-BREAK SPACE}", " ")
    assert uptime == of_month[Metric.UPTIME].shown

    # All requests, failed requests and refused requests: by day, by error code and by client.
    by_day = rows_of("error-rate", thirty)
    by_code = rows_of("errors", thirty)
    beside = sum(int(row["failed"]) + int(row["refused"]) for row in by_day)
    assert beside == sum(int(row["requests"]) for row in by_code)
    assert sum(int(row["requests"]) for row in by_day) == sum(
        int(row["requests"]) for row in rows_of("clients", thirty)
    )


def tile(name: str, shown: Board) -> str:
    [found] = [one for one in shown.tiles if one.name == name]
    return found.value


@pytest.mark.parametrize("days", ["7", "30", "month"])
def test_tiles_and_tables_have_the_same_figures(pages: Client, quarter: date, days: str) -> None:
    shown = board(days)
    html = pages.get(f"/dashboard/?range={days}").content.decode()
    for one in shown.tiles:
        assert f"<b>{one.value}</b>" in html, one.name
    of_day = rows_of("active-users", shown)[-1]
    column = {1: "users", 7: "users_7_days"}.get(len(shown.span.days), "users_30_days")  # 1: the month's first day
    assert tile("Active users", shown) == f"{int(of_day[column]):,}"
    [week] = [step.users for step in shown.adoption.steps if step.name == "Used it in 7 days"]
    assert week == int(of_day["users_7_days"])

    def total(table: str, column: str) -> float:
        return sum(float(row[column]) for row in rows_of(table, shown))

    sums = [total(table, "minutes") for table in ("minutes", "languages", "clients")]
    assert sums == pytest.approx([sums[0]] * len(sums), abs=1e-3)
    assert tile("Speech recognised", shown) == f"{sums[0]:,.0f}\N{NO-BREAK SPACE}min"
    for table in ("characters", "languages", "clients", "cost"):
        assert tile("Speech generated", shown) == f"{total(table, 'characters'):,.0f}", table
    voiced = sum(int(row["characters"]) for row in rows_of("daily-mix", shown) if row["voice"])
    assert total("voices", "characters") == voiced
    for table in ("error-rate", "clients", "daily-mix"):
        assert tile("Requests", shown) == f"{total(table, 'requests'):,.0f}", table
    failed = total("error-rate", "failed")
    answered = total("error-rate", "requests") - total("errors", "requests")
    codes = rows_of("errors", shown)
    mistaken = sum(int(row["requests"]) for row in codes if row["kind"] == "a mistake in the request")
    rate = failed / (answered + failed + mistaken)
    assert tile("Failed", shown) == f"{100 * rate:.2f} %"


def test_a_clients_figures_equal_the_sum_of_its_people(pages: Client, quarter: date) -> None:
    """A client's figures equal the sums over its users, and those of the busiest user agree in four places.

    These are the client's list of users, the user's page, the file on that page, and the user's quotas. In the first
    hours of a month, the made-up client may have no use yet. Then the client of the latest requests is taken.
    """
    by_client = {row["client"]: row for row in rows_of("clients", board("month"))}
    of_all = by_client.get("chat-web") or by_client["chat"]
    client = ClientApplication.objects.get(name=of_all["client"])
    month = Board(preset("month", timezone.now()), Filters(client=client.name, client_id=client.pk))
    people = rows_of("people", month)
    for column in ("requests", "characters"):
        assert sum(int(row[column]) for row in people) == int(of_all[column]), column
    assert sum(float(row["minutes"]) for row in people) == pytest.approx(float(of_all["minutes"]), abs=1e-3)

    busiest = people[0]
    [address] = [link for link in month.people.links if busiest["person"].removeprefix("p-") in link]
    page = pages.get(address).content.decode()
    shown = re.findall(r"<dd><b>([\d.,]+)(?: min)?</b>", page)
    days, requests, heard, spoken = [float(one.replace(",", "")) for one in shown]
    assert (days, requests, spoken) == tuple(float(busiest[name]) for name in ("days", "requests", "characters"))
    assert heard == pytest.approx(float(busiest["minutes"]), abs=0.05)
    file = streamed(pages.get(address.replace("?", "/requests.csv?")))
    assert sum(int(row["requests"]) for row in csv.DictReader(io.StringIO(file))) == requests
    user = next(
        user
        for user in LedgerEntry.objects.filter(client=client).values_list("user", flat=True).distinct()
        if digits_of(client.pk, user) in address
    )
    used = {one.measure: one.used for one in quota.load(client.pk, user).quotas.values()}
    assert used[Measure.CHARACTERS] == spoken
    assert used[Measure.AUDIO] / 60_000 == pytest.approx(float(busiest["minutes"]), abs=1e-3)


def test_revenue_and_cost_equal_statements_and_rates(pages: Client, quarter: date) -> None:
    month = board("month")
    *rows, together = rows_of("margins", month)
    for row in rows:
        statement = Statement.objects.get(client__name=row["client"], user="", month=quarter.replace(day=1))
        assert float(row["revenue_myr"]) == pytest.approx(statement.total_micros / MICROS)
        page = pages.get(f"/admin/usage/statement/{statement.pk}/change/").content.decode()
        assert ringgit(in_sen(statement.total_micros)) in page
    for column in ("revenue_myr", "cost_myr", "margin_myr"):
        assert float(together[column]) == pytest.approx(sum(float(row[column]) for row in rows), abs=0.01)
    rate = ExchangeRate.objects.get().ringgit
    spent = month.money.month.spent_micros / MICROS
    assert float(together["cost_myr"]) == pytest.approx(spent * float(rate), rel=1e-3)


def test_events_are_the_same_on_all_pages(pages: Client, quarter: date) -> None:
    """The home page and the dashboard describe changes to percentages in the same words.

    The dashboard also has an event for each flag whose percentage changed according to the audit trail.
    """
    told = [event.text for event in board("90").events if "→" in event.text]
    assert any("as voice" in text for text in told)
    for change in Change.objects.filter(subject__in=["voice", "realtime"], after__has_key="percent"):
        if change.before and change.at >= board("90").span.start:
            assert any(text.startswith(change.subject) for text in told)
    latest = [one.what for one in timeline.latest(timezone.now(), rollout=True, capacity=False) if "→" in one.what]
    for what in latest:
        assert any(text.startswith(what) for text in told), what


def test_the_weekly_summary_has_the_figures_of_the_dashboard(pages: Client, quarter: date) -> None:
    week = last_whole_week(timezone.now())
    summary = Summary(week, timezone.now())
    shown = Board(DateRange(week, week + timedelta(days=6), timezone.now()), ALL)
    assert [(tile.name, tile.value) for tile in shown.tiles] == [(name, value) for name, value, _ in summary.figures]
    assert [score.shown for score in shown.scores] == [row[1] for row in summary.sections[0].rows]
    for text in (summary.html(), summary.text(), pages.get(f"/dashboard/?{shown.query}").content.decode()):
        for value in (*(tile.value for tile in shown.tiles), *(score.shown for score in shown.scores)):
            assert value in text


def test_the_present_phase_is_the_same_everywhere(pages: Client, quarter: date) -> None:
    outlook = phase_outlook.outlook(timezone.now())
    assert outlook is not None
    assert f"Phase {outlook.phase.number}: {outlook.phase.name}" in pages.get("/admin/").content.decode()
    assert homepage_data.slow(timezone.now())["outlook"].phase == outlook.phase


def test_the_funnel_holds_on_any_day_of_the_quarter(pages: Client, quarter: date) -> None:
    for days in range(0, 90, 7):
        last = quarter - timedelta(days=days)
        shown = Board(DateRange(last - timedelta(days=6), last, timezone.now()), ALL)
        users = [step.users for step in shown.adoption.steps if step.users is not None]
        assert users == sorted(users, reverse=True)
