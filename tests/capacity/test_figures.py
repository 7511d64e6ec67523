"""The data that the capacity pages show."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from capacity import alert_metrics, figures
from capacity.concurrent_users import DatabaseStore
from capacity.figures import Levels, Users
from capacity.models import Rule
from capacity.presence import Presence
from tests.capacity.world import START

MINUTE = timedelta(minutes=1)
TODAY = date(2026, 3, 2)


def note(at, number: int) -> None:
    people = frozenset(str(person) for person in range(number))
    alert_metrics.take_sample(at, Presence(people, people, people))


def test_the_curve_of_a_day(db) -> None:
    note(START + MINUTE, 4)
    note(START + 2 * MINUTE, 9)
    note(START + 7 * MINUTE, 2)
    note(START + timedelta(hours=7), 50)  # midnight in Kuala Lumpur, so already tomorrow
    curve = figures.day_curve(TODAY)
    assert len(curve) == 288
    assert {point.at: point.users for point in curve if point.users} == {
        START: Users(9, 9, 9),
        START + 5 * MINUTE: Users(2, 2, 2),
    }


def test_peaks(db) -> None:
    for hours, number in ((0, 4), (3, 12), (30, 7)):
        note(START + timedelta(hours=hours), number)
    assert figures.peak(TODAY + timedelta(days=1), TODAY + timedelta(days=1)) == Users(7, 7, 7)
    assert figures.peak(TODAY, TODAY + timedelta(days=3)) == Users(12, 12, 12)
    assert figures.peak(TODAY - timedelta(days=9), TODAY - timedelta(days=8)) is None
    assert figures.peaks_by_day(TODAY, TODAY + timedelta(days=3)) == [
        (TODAY, Users(12, 12, 12)),
        (TODAY + timedelta(days=1), Users(7, 7, 7)),
    ]


def test_concurrent_users_now(db) -> None:
    assert figures.now_served() == Users(0, 0, 0)
    DatabaseStore().publish("p", Presence(frozenset("ab"), frozenset("b"), frozenset("ab")), 60)
    assert figures.now_served() == Users(2, 1, 2)
    assert figures.latest(START) is None
    note(START, 3)
    assert figures.latest(START + MINUTE).users == 3
    assert figures.latest(START + timedelta(hours=1)) is None


def test_an_unavailable_store(db, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert figures.now_served() is None


def test_alert_levels(seeded) -> None:
    assert figures.levels() == Levels(warning=60, critical=80, design=100)
    Rule.objects.filter(severity=Rule.Severity.WARNING).update(is_enabled=False)
    assert figures.levels() == Levels(warning=None, critical=80, design=100)
    Rule.objects.all().delete()
    assert figures.levels() == Levels(None, None, 50)


@pytest.mark.parametrize("number", [0, 500])
def test_the_number_of_queries_does_not_grow(db, django_assert_num_queries, number: int) -> None:
    for minute in range(number // 50):
        note(START + minute * MINUTE, 2)
    with django_assert_num_queries(3):
        figures.day_curve(TODAY)
        figures.peaks_by_day(TODAY, TODAY)
        figures.peak(TODAY, TODAY)
