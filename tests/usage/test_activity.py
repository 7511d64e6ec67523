"""Weekly and daily counts of users agree with the ledger. The counts are stored without user ids."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from tests.usage.test_rebuild import rollups, varied
from usage import activity, personal_data
from usage.entry import Kind
from usage.ledger_posting import write
from usage.models import CohortWeek, DailyActive, LedgerEntry, UserWeek
from usage.period import day_of
from usage.rebuild import rebuild


def who(first: date, last: date) -> set[tuple[int, str]]:
    """Return the users who were served in a date range, as client and user id, computed from the ledger."""
    rows = LedgerEntry.objects.filter(status=200)
    return {(row.client_id, row.user) for row in rows if first <= day_of(row.created_at) <= last}


def cohorts() -> dict[date, dict[date, int]]:
    """Return the size of each weekly cohort in each week, computed from the ledger."""
    served: dict[tuple[int, str], set[date]] = defaultdict(set)
    for row in LedgerEntry.objects.filter(status=200):
        served[(row.client_id, row.user)].add(activity.week_of(day_of(row.created_at)))
    found: dict[date, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for weeks_of_one in served.values():
        for week in weeks_of_one:
            found[min(weeks_of_one)][week] += 1
    return {first: dict(sorted(of_week.items())) for first, of_week in sorted(found.items())}


def some_use(*clients: ClientApplication) -> tuple[date, date]:
    rows = [row for seed, client in enumerate(clients) for row in varied(client, 300, seed)]
    random.Random(4).shuffle(rows)  # rows may come late, such as recovered streams and counter-entries
    for start in range(0, len(rows), 40):
        write(rows[start : start + 40])
    days = [day_of(row.created_at) for row in rows]
    return min(days), max(days)


def test_active_people_match_the_ledger(chat: ClientApplication) -> None:
    other = ClientApplication.objects.create(name="other")
    first, last = some_use(chat, other)
    by_day = activity.active_by_day(first - timedelta(days=3), last + timedelta(days=33))
    for day, one in by_day.items():
        expected = [len(who(day - timedelta(days=days - 1), day)) for days in (1, 7, 30)]
        assert [one.day, one.week, one.month] == expected, day
    assert activity.active_by_day(last, last)[last] == by_day[last]
    by_client = activity.active_by_client(last)
    assert by_client.keys() == {chat.pk, other.pk}
    assert sum(one.month for one in by_client.values()) == by_day[last].month
    assert by_client[other.pk].month == sum(
        client == other.pk for client, _user in who(last - timedelta(days=29), last)
    )


def test_cohorts_match_the_ledger(chat: ClientApplication) -> None:
    first, last = some_use(chat)
    assert activity.cohorts(first, last) == cohorts()
    assert set(activity.cohorts(last, last)) <= {activity.week_of(last)}


@pytest.mark.parametrize(("feature", "language"), [("asr", ""), ("", "en"), ("tts", "ms"), ("realtime", "zh")])
def test_people_are_counted_by_feature_and_language(chat: ClientApplication, feature: str, language: str) -> None:
    first, last = some_use(chat, ClientApplication.objects.create(name="other"))
    which = activity.PeopleFilter(chat.pk, feature, language)
    rows = [
        (day_of(row.created_at), row.user)
        for row in LedgerEntry.objects.filter(status=200, client=chat)
        if feature in ("", Kind(row.kind).feature) and language in ("", row.language)
    ]
    for day, one in activity.active_by_day(first, last, which).items():
        expected = [len({user for at, user in rows if day - timedelta(days=ago) < at <= day}) for ago in (1, 7, 30)]
        assert [one.day, one.week, one.month] == expected, day
    began = {user: min(activity.week_of(at) for at, whose in rows if whose == user) for _at, user in rows}
    for week, by_week in activity.cohorts(first, last, which).items():
        assert by_week[week] == sum(start == week for start in began.values())


def test_features_have_the_names_of_the_roll_out() -> None:
    assert {kind.feature for kind in Kind} <= {"asr", "tts", "realtime"}


def test_refused_users_do_not_count_as_served(chat: ClientApplication, fill: Fill) -> None:
    fill(1, status=429, error_code="quota_exceeded")
    fill(1, status=499, error_code="client_closed_request")
    assert not UserWeek.objects.exists()
    fill(1, Kind.REALTIME, is_live=True)
    everybody = {"feature": "", "language": ""}
    assert UserWeek.objects.filter(**everybody).count() == CohortWeek.objects.filter(**everybody).count() == 1


def test_the_same_id_of_another_client_is_another_person(chat: ClientApplication, fill: Fill) -> None:
    fill(1)
    fill(1, client=ClientApplication.objects.create(name="other"))
    today = day_of(timezone.now())
    assert activity.active_by_day(today, today)[today] == activity.Active(2, 2, 2)


def test_pruning_and_erasing_do_not_change_the_counts(chat: ClientApplication) -> None:
    first, last = some_use(chat)
    before = rollups()
    found = activity.cohorts(first, last)
    assert personal_data.prune(timezone.now() - timedelta(days=31)) > 0
    assert rollups()["UserWeek"] == before["UserWeek"]
    rebuild()
    assert activity.cohorts(first, last) == found
    call_command("erase_user", "chat", "u1", yes=True)
    assert activity.cohorts(first, last) == found
    assert rollups()["UserWeek"] != before["UserWeek"]
    as_erased = rollups()
    rebuild()
    assert rollups() == as_erased
    old = activity.pseudonym(chat.pk, "u1")
    assert not LedgerEntry.objects.filter(user__in=["u1", old]).exists()


def test_ids_that_look_like_pseudonyms_are_distinct_people(chat: ClientApplication) -> None:
    assert activity.person(chat.pk, "gone:with the wind") != activity.person(chat.pk, "gone:with the win")
    assert activity.person(chat.pk, "aminah") == activity.person(chat.pk, activity.pseudonym(chat.pk, "aminah"))
    assert 0 <= activity.person(chat.pk, "gone:" + "f" * 24) < 2**63


def test_rebuilding_removes_days_that_the_ledger_lacks(chat: ClientApplication, fill: Fill) -> None:
    fill(1)
    UserWeek.objects.update(days=activity.WHOLE_WEEK)
    rebuild()
    today = day_of(timezone.now())
    assert all(row.days & activity.bit(today) for row in UserWeek.objects.all())
    CohortWeek.objects.update(users=7)
    DailyActive.objects.update(users=7)
    rebuild(today, today)
    assert {row.users for row in CohortWeek.objects.all()} == {1}
    assert {row.users for row in DailyActive.objects.filter(day=today)} == {1}


@pytest.mark.django_db(transaction=True)
def test_the_migration_fills_the_tables_from_the_ledger(chat: ClientApplication) -> None:
    some_use(chat)
    before = rollups()
    try:
        MigrationExecutor(connection).migrate([("usage", "0005_live_rows")])
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert rollups() == before
