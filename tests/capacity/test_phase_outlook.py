"""The current phase, and the time of the next phase, follow from measured use."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from capacity import phase_outlook
from capacity.growth import Shape, fit
from capacity.models import ActiveUsers, Alert, HourlyPeak, Phase, Rule
from capacity.phase_outlook import MeasuredUse, outlook, phase_of
from core.models import ClientApplication
from rollout.models import ClientShare, Flag
from tests.capacity.world import START, World
from usage.models import LedgerEntry

DAY = timedelta(days=1)


def test_the_phases_are_seeded(seeded) -> None:
    assert [str(phase) for phase in Phase.objects.all()] == ["1 Launch", "2 Growth", "3 Scale", "4 Expansion"]
    assert [phase.needs() for phase in Phase.objects.all()] == [
        "1 T4 GPU, 2 API pods, 500–800 USD a month",
        "2 T4 GPUs, 3 API pods, 800–1,200 USD a month",
        "3–4 T4 GPUs, 4–5 API pods, 1,200–2,000 USD a month",
        "T4 GPUs scaled automatically, API pods scaled automatically, 2,000–4,000 USD a month",
    ]


@pytest.mark.parametrize(
    ("users", "peak", "number"),
    [(None, None, 1), (40, 2, 1), (2000, 50, 1), (2001, 10, 2), (900, 51, 2), (9_000, 120, 3), (50_000, 900, 4)],
)
def test_the_current_phase(seeded, users: int | None, peak: int | None, number: int) -> None:
    phase = phase_of(MeasuredUse(users, peak))
    assert phase is not None
    assert phase.number == number


def test_linear_and_exponential_growth() -> None:
    line = fit([(day, 100 + 5 * day) for day in range(0, 60, 7)])
    assert line is not None
    assert line.shape == Shape.LINEAR
    assert line.reaches(600) == pytest.approx(100)
    curve = fit([(day, 100 * math.exp(0.03 * day)) for day in range(0, 60, 7)])
    assert curve is not None
    assert curve.shape == Shape.EXPONENTIAL
    assert curve.reaches(200) == pytest.approx(math.log(2) / 0.03)
    assert "in 30 days, R² 1.00" in curve.in_words()


@pytest.mark.parametrize("points", [[], [(0, 1), (7, 2), (14, 3)], [(day, day) for day in range(10)]])
def test_a_history_that_is_too_short(points: list[tuple[float, float]]) -> None:
    assert fit(points) is None


def test_without_growth_there_is_no_prediction() -> None:
    falling = fit([(day, 100 - day) for day in range(0, 60, 7)])
    assert falling is not None
    assert falling.reaches(200) is None
    flat = fit([(day, 7) for day in range(0, 60, 7)])
    assert flat is not None
    assert flat.reaches(200) is None


def test_predicts_when_the_next_phase_is_reached(seeded) -> None:
    today = timezone.localdate(START)
    for days in range(0, 91, 7):
        ActiveUsers.objects.create(day=today - days * DAY, users=1500 - 10 * days)
    for days in range(80):
        HourlyPeak.objects.create(hour=START - days * DAY, users=30, asr_users=20, tts_users=15)
    seen = outlook(START)
    assert seen is not None
    assert (seen.phase.number, seen.following.number) == (1, 2)
    assert seen.use == MeasuredUse(1500, 30)
    users, peak = seen.crossings
    assert users.day == today + 50 * DAY == seen.next_at
    there = today + 50 * DAY
    assert users.in_words() == f"voice users: 2,000 around {there.day} {there:%B %Y} (linear, +10 a day, R² 1.00)"
    assert peak.in_words().startswith("peak concurrent users: 50 not within two years (linear, +0 a day")


def test_without_history(seeded) -> None:
    seen = outlook(START)
    assert seen is not None
    assert seen.next_at is None
    assert [crossing.in_words() for crossing in seen.crossings] == [
        "voice users: not enough history",
        "peak concurrent users: not enough history",
    ]


def test_the_last_phase_has_no_next(seeded) -> None:
    ActiveUsers.objects.create(day=timezone.localdate(START), users=20_000)
    seen = outlook(START)
    assert seen is not None
    assert seen.following is None
    assert [crossing.measure for crossing in seen.crossings] == ["peak concurrent users"]


def serve(world: World, user: str, at: datetime, status: int = 200) -> None:
    LedgerEntry.objects.create(
        request_id="r", kind="speech", client=world.client, user=user, status=status, created_at=at
    )


def test_active_users_are_counted_from_the_ledger(world: World) -> None:
    today = date(2026, 3, 2)
    for user in ("aminah", "aminah", "bala"):
        serve(world, user, START)
    serve(world, "chong", START - 29 * DAY)
    serve(world, "devi", START - 40 * DAY)
    serve(world, "refused", START, status=403)
    assert phase_outlook.count_active_users(today) == 6  # today, and one day in each week back to the first request
    counts = dict(ActiveUsers.objects.values_list("day", "users"))
    assert counts[today] == 3
    assert counts[today - 35 * DAY] == 1
    serve(world, "farid", START)
    assert phase_outlook.count_active_users(today) == 1  # only today's row is renewed
    assert ActiveUsers.objects.get(day=today).users == 4


def test_an_empty_ledger_has_no_active_users(seeded) -> None:
    assert phase_outlook.count_active_users(date(2026, 3, 2)) == 0


def test_edited_thresholds_are_not_replaced_by_a_percentage_of_the_phase(seeded) -> None:
    Rule.objects.update(phase_percent=None)
    Rule.objects.filter(severity="critical", metric="users").update(threshold=45)
    import_module("capacity.migrations.0004_gpu_memory_and_phases_of_rules").set_shares(apps, None)
    found = Rule.objects.exclude(phase_percent=None).values_list("severity", "metric", "phase_percent")
    assert set(found) == {("warning", "users", 60), ("warning", "month_cost_usd", 100)}


def test_the_previous_version_can_still_insert_rows(seeded) -> None:
    """A process of the previous version can insert rows, although it does not know the newest columns."""
    rule = Rule.objects.get(severity="critical", metric="users")
    client = ClientApplication.objects.create(name="chat-web")
    flag = Flag.objects.create(name="one")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO capacity_alert (rule_id, state, since, evaluated_at, worst, acknowledged_by, outcome) "
            "VALUES (%s, 'pending', %s, %s, 93, '', '')",
            [rule.pk, START, START],
        )
        cursor.execute(
            "INSERT INTO rollout_clientshare (flag_id, client_id, percent) VALUES (%s, %s, 7)", [flag.pk, client.pk]
        )
    assert Alert.objects.get().metric == ""
    share = ClientShare.objects.get()
    assert (share.percent, share.kept_percent) == (100, 7)
