"""The admin's lists make a limited number of queries, however many rows they show."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rollout.models import Cohort
from tests.emptying import restore_migrated_rows
from tools.demo.filling import fill

NOW = datetime(2026, 11, 24, 20, 30, tzinfo=ZoneInfo("Asia/Kuala_Lumpur"))
MAX_QUERIES = 25
HANDFUL = 5
LISTS = list(admin.site._registry.items())


def address(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


class TestLists(TestCase):
    client: Client
    boss: User

    @classmethod
    def setUpTestData(cls) -> None:
        restore_migrated_rows()
        fill(days=60, users=80, rows=1500, now=NOW)
        cls.boss = User.objects.create_superuser("siti")
        for number in range(12):
            Cohort.objects.create(name=f"cohort-{number}").add(f"u{one}" for one in range(number))
            User.objects.create_user(f"staff-{number}", is_staff=True)

    def setUp(self) -> None:
        self.client.force_login(self.boss)

    def queries(self, model: type[models.Model], shown: int) -> list[str]:
        with (
            mock.patch.object(admin.site._registry[model], "list_per_page", shown),
            CaptureQueriesContext(connection) as asked,
        ):
            assert self.client.get(address(model)).status_code == 200, model
        return [query["sql"] for query in asked.captured_queries]

    def test_queries_do_not_grow_with_the_rows(self) -> None:
        for model, _admin in LISTS:
            self.queries(model, 2)  # fills caches, such as content types and permissions
            with self.subTest(model=model.__name__):
                few = self.queries(model, 2)
                many = self.queries(model, 10)
                # Models that always have few rows, such as phases of growth, may make a query for each row.
                assert len(many) <= len(few) or model._default_manager.count() <= HANDFUL, "\n".join(many)
                assert len(many) <= MAX_QUERIES

    def test_every_list_has_rows(self) -> None:
        """The other test of this class proves nothing for a list without rows."""
        empty = {model.__name__ for model, _admin in LISTS if model._default_manager.count() <= 2}
        assert empty <= {"ApiKey", "ExchangeRate", "Group", "OpenStream", "ListedUser", "Outage", "LoadTestRun"}, empty


def test_every_list_is_tested() -> None:
    names: set[Any] = {model.__name__ for model, _admin in LISTS}
    assert {"LedgerEntry", "Consumption", "Statement", "Alert", "Flag", "Change", "ClientApplication"} <= names
