"""Every role can open every admin page that it may see, with rows in every table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from capacity import loadtests
from capacity.models import ActiveUsers, Alert, Delivery, Outage, Rule, Sample
from rollout import roles
from tests.capacity.world import logged_in
from tests.e2e import filling
from tests.emptying import rows_of_several_tests
from tests.tools.loadtests import made
from usage.models import (
    ChatUsers,
    Correction,
    ExchangeRate,
    InfrastructureCost,
    LedgerEntry,
    Plan,
    PlanAssignment,
    Rating,
)
from usage.period import month_of
from usage.statement_generation import draft_month

MAX_QUERIES = 20  # for a page of up to 100 rows
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
BOSS_ONLY = {"auth.User", "auth.Group"}
# Text that no page should show: raw units, and durations as Python prints them.
RAW = re.compile(r"micros|millionth|_ms\b|Audio ms|\b\d:\d\d:\d\d\b|\b(530000|72500)\b", re.IGNORECASE)


@pytest.fixture(scope="class")
def _rows_everywhere(django_db_setup, django_db_blocker) -> Iterator[None]:
    with rows_of_several_tests(django_db_blocker):
        for config in apps.get_app_configs():
            roles.grant(config)
        fill_everything()
        yield


@pytest.fixture
def something_everywhere(_rows_everywhere: None, db) -> None:
    """At least one row in every table that has an admin page, shared by the tests of a class."""


def fill_everything() -> None:
    """Make at least one row in every table that has an admin page."""
    now = timezone.now()
    for name in ("Operators", "Product"):
        Group.objects.get_or_create(name=name)
    InfrastructureCost.objects.create(resource="t4", price_micros=530_000, per="hour")
    filling.make_traffic(now)
    filling.make_rollout(is_ramping=True)
    filling.make_alerts(now)
    filling.make_day(now)
    client = LedgerEntry.objects.all()[0].client
    plan = Plan.objects.create(
        name="kecil", micros_per_audio_minute=72_500, soft_audio_minutes=1, hard_audio_minutes=90, hard_characters=10
    )
    PlanAssignment.objects.create(client=client, plan=plan, starts_at=now - timedelta(days=60))
    ExchangeRate.objects.create(day=timezone.localdate(), ringgit="4.2", source="the central bank")
    ChatUsers.objects.create(client=client, day=timezone.localdate(), users=2500)
    draft_month(month_of(now))
    spoken = LedgerEntry.objects.filter(kind="speech", status=200)[0]
    Rating.objects.create(entry=spoken, score=4)
    Correction.objects.create(
        entry=LedgerEntry.objects.filter(kind="transcription", status=200)[0], word_error_rate=0.125, reference_words=8
    )
    Delivery.objects.create(
        alert=Alert.objects.all()[0], channel="email", receiver="a@b.example", subject="s", due_at=now
    )
    loadtests.keep(made.facts())
    Outage.objects.create(began_at=now - timedelta(hours=2), seen_at=now, reason="no answer")
    Rule.objects.all()[0].silence(now + timedelta(hours=1), by="siti", why="load test")


def address(model: type[Model], rest: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{rest}"


class TestWithRowsEverywhere:
    @pytest.mark.parametrize("role", [roles.OPERATORS, roles.PRODUCT, "superuser"])
    def test_every_list_and_every_row_opens(self, something_everywhere, role: str) -> None:
        is_boss = role == "superuser"
        client = logged_in("wan", "" if is_boss else role, is_superuser=is_boss)
        for model in MODELS:
            label = model._meta.label
            row = model._default_manager.first()
            assert row is not None, f"nothing to look at: {label}"
            listed = client.get(address(model))
            looked_at = client.get(address(model, f"{row.pk}/change/"))
            if label in BOSS_ONLY and not is_boss:
                assert (listed.status_code, looked_at.status_code) == (403, 403), label
                continue
            assert (listed.status_code, looked_at.status_code) == (200, 200), label
            for page in (listed, looked_at):
                body = page.content.decode().partition('id="content"')[2]
                read = re.sub(r"<script.*?</script>|<[^>]+>", " ", body, flags=re.DOTALL)
                assert not RAW.search(read), f"{label}: {RAW.search(read)}"
                assert not re.search(r'value="(530000|72500|\d:\d\d:\d\d)"', body), label
                if role == roles.PRODUCT:
                    assert 'name="_save"' not in body, label
                    assert "/add/" not in body, label
                    assert re.findall(r'<option value="(\w+)_selected"', body) in ([], ["download"]), label

    def test_every_list_can_be_sorted_by_every_column(self, something_everywhere) -> None:
        boss = logged_in("boss", is_superuser=True)
        request = boss.get("/").wsgi_request
        for model in MODELS:
            columns = len(admin.site._registry[model].get_list_display(request))
            for column in range(1, columns + 1):
                assert boss.get(address(model), {"o": column}).status_code == 200, (model._meta.label, column)

    def test_a_list_s_queries_do_not_grow_with_its_rows(
        self, something_everywhere, django_assert_max_num_queries
    ) -> None:
        client: Client = logged_in("boss", is_superuser=True)
        for model in MODELS:
            with django_assert_max_num_queries(MAX_QUERIES):
                client.get(address(model))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_an_empty_search_result_is_reported(seeded_site, model: type[Model]) -> None:
    boss = logged_in("boss", is_superuser=True)
    model_admin = admin.site._registry[model]
    if model_admin.search_fields:
        assert "Nothing matches" in boss.get(address(model), {"q": "no-such-thing"}).content.decode()


@pytest.mark.parametrize(("model", "words"), [(Sample, "watch_capacity"), (ActiveUsers, "watch_capacity")])
def test_an_empty_list_explains_what_fills_it(seeded_site, model: type[Model], words: str) -> None:
    html = logged_in("boss", is_superuser=True).get(address(model)).content.decode()
    assert "Nothing here yet" in html
    assert words in html
