"""Rebuilt roll-ups agree with the ledger, even if rows are written to it meanwhile."""

from __future__ import annotations

import itertools
import random
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models import Sum
from django.utils import timezone

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from usage import upsert
from usage.counter_entry import take_back
from usage.entry import Kind
from usage.ledger_posting import CEILINGS_MS, DAILY, ceiling_ms, write
from usage.models import (
    CohortWeek,
    Consumption,
    DailyActive,
    DailyLatency,
    DailyMix,
    DailyUse,
    LedgerEntry,
    UserWeek,
)
from usage.period import day_of, start_of
from usage.rebuild import rebuild

ROLLUPS: tuple[type[models.Model], ...] = (*DAILY, UserWeek, DailyActive, CohortWeek, Consumption)


def rollups() -> dict[str, set[tuple[Any, ...]]]:
    found = {}
    for model in ROLLUPS:
        fields = [field.attname for field in [*upsert.key_fields(model), *upsert.amount_fields(model)]]
        rows = model._default_manager.values_list(*fields)
        if model is Consumption:
            rows = rows.exclude(used=0)
        if model in (DailyActive, CohortWeek):  # deleted use leaves a row of zeros
            rows = rows.exclude(**{field.name: 0 for field in upsert.amount_fields(model)})
        found[model.__name__] = set(rows)
    return found


def varied(chat: ClientApplication, number: int, seed: int = 1) -> list[LedgerEntry]:
    chance = random.Random(seed)
    now = timezone.now()
    rows = []
    for _ in range(number):
        kind = chance.choice(list(Kind))
        status = chance.choice([200, 200, 200, 499, 429, 503])
        rows.append(
            LedgerEntry(
                request_id="r",
                kind=kind.value,
                client=chat,
                user=f"u{chance.randrange(9)}",
                model="m",
                status=status,
                language=chance.choice(["ms", "en"]),
                error_code="" if status == 200 else f"e{status}",
                audio_ms=chance.randrange(9000),
                characters=chance.randrange(500) if kind is Kind.SPEECH else 0,
                total_ms=chance.randrange(3000),
                created_at=now - timedelta(hours=chance.randrange(24 * 70)),
            )
        )
    return rows


def test_rebuilding_changes_nothing(chat: ClientApplication) -> None:
    rows = varied(chat, 400)
    for start in range(0, len(rows), 50):
        write(rows[start : start + 50])
    for row in LedgerEntry.objects.filter(status=200, kind="speech", characters__gt=1)[:5]:
        take_back(row, why="a test", by="siti", units=row.characters // 2)
    before = rollups()
    assert sum(map(len, before.values())) > 300
    call_command("rebuild_usage")
    assert rollups() == before


def test_rebuilding_fills_empty_tables(chat: ClientApplication) -> None:
    write(varied(chat, 200))
    before = rollups()
    for model in ROLLUPS:
        model._default_manager.all().delete()
    rebuild()
    assert rollups() == before
    DailyUse.objects.update(characters=7)
    Consumption.objects.update(used=7)
    rebuild()
    assert rollups() == before


def test_only_the_given_days_are_rebuilt(chat: ClientApplication, fill: Fill) -> None:
    now = timezone.now()
    fill(10, at=now)
    fill(20, at=now - timedelta(days=1))
    DailyUse.objects.update(characters=7)
    call_command("rebuild_usage", first=day_of(now), last=day_of(now))
    assert set(DailyUse.objects.values_list("characters", flat=True)) == {10, 7}


def test_days_are_in_the_services_time_zone(chat: ClientApplication, fill: Fill) -> None:
    midnight = start_of(day_of(timezone.now()))
    fill(1, at=midnight - timedelta(seconds=1))
    fill(2, at=midnight)
    assert list(DailyUse.objects.values_list("day", "characters")) == [
        (day_of(midnight) - timedelta(days=1), 1),
        (day_of(midnight), 2),
    ]


def test_each_roll_up_has_its_sums(chat: ClientApplication, fill: Fill) -> None:
    fill(100, total_ms=900, voice="v", language="ms", audio_ms=5000)
    fill(50, total_ms=1000, voice="v", language="ms", status=499, error_code="client_closed_request")
    fill(70, total_ms=10, voice="v", language="ms", status=503, error_code="over_capacity")
    use = DailyUse.objects.get()
    assert (use.requests, use.failed, use.characters, use.audio_ms) == (3, 2, 150, 5000)
    mix = DailyMix.objects.order_by("error_code").values_list("error_code", "requests", "characters")
    assert list(mix) == [("", 1, 100), ("client_closed_request", 1, 50), ("over_capacity", 1, 0)]
    assert DailyLatency.objects.get().ceiling_ms == ceiling_ms(900) == 1024
    assert Consumption.objects.get().used == 150


def test_ceilings_of_latency_buckets() -> None:
    assert (ceiling_ms(0), ceiling_ms(1), ceiling_ms(1024), ceiling_ms(1025)) == (1, 1, 1024, 1218)
    assert ceiling_ms(10**12) == CEILINGS_MS[-1]
    assert all(after <= 1.5 * before + 1 for before, after in itertools.pairwise(CEILINGS_MS))


@pytest.mark.django_db(transaction=True)
def test_rebuilding_while_others_write(chat: ClientApplication) -> None:
    failures: list[Exception] = []

    def work(seed: int) -> None:
        try:
            for row in varied(chat, 30, seed):
                with transaction.atomic():
                    write([row])
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        rebuild()
        time.sleep(0.01)  # lets the others write, because SQLite's lock is not fair
    for thread in threads:
        thread.join()
    assert failures == []
    before = rollups()
    assert DailyUse.objects.aggregate(sum=Sum("requests"))["sum"] == 90
    rebuild()
    assert rollups() == before
