"""A figure that two pages or files show has one value: on a made-up quarter, every one that appears twice."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from capacity import phases
from dashboard import home
from dashboard.board import Board, csv_of
from dashboard.date_range import Span, preset
from dashboard.filters import ALL
from tools.demo.filling import fill
from usage.scorecard import Metric


@pytest.fixture(scope="module")
def quarter(django_db_setup, django_db_blocker) -> Iterator[date]:
    from django.db import transaction

    from tests.emptying import restore_migrated_rows

    with django_db_blocker.unblock(), transaction.atomic():
        restore_migrated_rows()
        fill(days=90, users=60, rows=3000)
        yield timezone.localdate()
        transaction.set_rollback(True)


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


def figure(html: str, name: str) -> str:
    """The value beside a name on the admin's first page."""
    found = re.search(rf"<dt>{re.escape(name)}</dt>\s*<dd class=\"value\">([^<]*)<", html)
    assert found is not None, name
    return found.group(1).strip()


def test_every_figure_that_appears_twice(pages: Client, quarter: date) -> None:
    first_page = pages.get("/admin/").content.decode()
    month = board("month")
    thirty = board("30")
    scores = {score.goal.metric: score for score in thirty.scores}
    of_month = {score.goal.metric: score for score in month.scores}

    # Most users at once: first page, scorecard, chart's table.
    most = figure(first_page, "Most at once, last 30 days")
    assert most == scores[Metric.PEAK_USERS].shown
    assert int(most) == max(int(row["users"]) for row in rows_of("peak-users", thirty) if row["users"])

    # Active users: first page, tile, scorecard, funnel, clients.
    active = int(figure(first_page, "Active users, last 30 days").replace(",", ""))
    assert active == thirty.active == scores[Metric.ACTIVE_USERS].value == thirty.adoption.steps[2].users
    assert active == sum(int(row["active_30_days"]) for row in rows_of("adoption-by-client", thirty))

    # Cost: first page and dashboard's month, their files, and the costs' own page.
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

    # Requests, and those that failed or were refused: by day, by code, by client.
    by_day = rows_of("error-rate", thirty)
    by_code = rows_of("errors", thirty)
    beside = sum(int(row["failed"]) + int(row["refused"]) for row in by_day)
    assert beside == sum(int(row["requests"]) for row in by_code)
    assert sum(int(row["requests"]) for row in by_day) == sum(
        int(row["requests"]) for row in rows_of("clients", thirty)
    )


def test_the_present_phase_is_the_same_everywhere(pages: Client, quarter: date) -> None:
    outlook = phases.outlook(timezone.now())
    assert outlook is not None
    assert f"Phase {outlook.phase.number}: {outlook.phase.name}" in pages.get("/admin/").content.decode()
    assert home.slow(timezone.now())["outlook"].phase == outlook.phase


def test_the_funnel_holds_on_any_day_of_the_quarter(pages: Client, quarter: date) -> None:
    for days in range(0, 90, 7):
        last = quarter - timedelta(days=days)
        shown = Board(Span(last - timedelta(days=6), last, timezone.now()), ALL)
        users = [step.users for step in shown.adoption.steps if step.users is not None]
        assert users == sorted(users, reverse=True)
