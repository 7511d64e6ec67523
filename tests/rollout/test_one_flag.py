"""The migration from three flags to one does not take voice from any user, and the dashboard's funnel never rises."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from random import Random

import pytest
from django.apps import apps

from core.models import ClientApplication
from dashboard.active_users import Funnel
from rollout import policy
from rollout.feature import VOICE, Feature
from rollout.models import Change, ClientShare, Cohort, Flag, ListedUser, Ramp, RampStep
from rollout.percentage import is_within
from usage.activity import Active

IDS = [f"user-{number}" for number in range(1000)]
make_voice = import_module("rollout.migrations.0005_one_voice_flag").make_voice


@pytest.fixture
def parts(db) -> dict[str, Flag]:
    """The flags as the previous version left them."""
    Flag.objects.all().delete()
    return {name: Flag.objects.create(name=name, kept_percent=0) for name in Feature}


def had_before(clients: list[int]) -> set[tuple[int, str, str]]:
    """Return who had which feature in the previous version: client, user and feature.

    That version had one flag per feature, each with a different order of users.
    """
    rows = {(row.flag_id, row.client_id): row.kept_percent for row in ClientShare.objects.all()}
    return set(_had_before(clients, rows))


def _had_before(clients: list[int], rows: dict[tuple[int, int], Decimal]) -> Iterator[tuple[int, str, str]]:
    for flag in Flag.objects.exclude(name=VOICE):
        listed = list(ListedUser.objects.filter(flag=flag).values_list("client_id", "user", "list"))
        members = set(flag.cohorts.values_list("members__user", flat=True))
        for client in clients:
            denied = {user for of, user, kind in listed if kind == "deny" and of in (None, client)}
            allowed = {user for of, user, kind in listed if kind == "allow" and of in (None, client)}
            percent = rows.get((flag.pk, client), flag.kept_percent or Decimal(0))
            for user in IDS:
                if flag.killed or flag.everyone is False or user in denied:
                    continue
                if flag.everyone or user in allowed | members or is_within(user, percent, flag.name):
                    yield client, user, flag.name


def has_now(clients: list[int]) -> set[tuple[int, str, str]]:
    rules = policy.load()
    return {
        (client, user, part)
        for client in clients
        for user in IDS
        for part in Feature
        if rules.decide(client, user, part).allowed
    }


def test_seven_per_cent_each_becomes_seven_per_cent_of_all(parts: dict[str, Flag]) -> None:
    Flag.objects.update(kept_percent=7)
    before = had_before([1])
    make_voice(apps, None)
    now = has_now([1])
    assert before < now
    whole = {user for user in IDS if all((1, user, part) in now for part in Feature)}
    assert {user for user in IDS if is_within(user, Decimal(7))} <= whole
    assert {user for _client, user, _part in now} == {user for _client, user, _part in before}  # no new users
    reach = policy.reach(policy.load(), 1)
    assert abs(reach.any - len({user for _client, user, _part in now}) / len(IDS)) < 0.03
    assert Flag.objects.get(name=VOICE).percent == 7
    assert Change.objects.get(who="migrate").after["percent"] == "7"


@pytest.mark.parametrize("seed", range(12))
def test_the_migration_takes_no_feature_from_anybody(parts: dict[str, Flag], seed: int) -> None:
    rng = Random(seed)
    clients = [ClientApplication.objects.create(name=f"client-{number}") for number in range(2)]
    pilot = Cohort.objects.create(name="pilot")
    pilot.add(rng.sample(IDS, 10))
    for flag in parts.values():
        flag.kept_percent = Decimal(rng.choice([0, 1, 5, 7.5, 20, 100]))
        flag.everyone = rng.choice([None, None, None, True, False])
        flag.killed = rng.random() < 0.1
        flag.save()
        for user in rng.sample(IDS, 6):
            client = rng.choice([None, *clients])
            ListedUser.objects.create(flag=flag, user=user, client=client, list=rng.choice(["allow", "deny"]))
        if rng.random() < 0.5:
            ClientShare.objects.create(flag=flag, client=clients[0], percent=100, kept_percent=rng.choice([0, 3, 50]))
        if rng.random() < 0.5:
            flag.cohorts.add(pilot)
    of = [client.pk for client in clients]
    before = had_before(of)
    make_voice(apps, None)
    assert before <= has_now(of)
    off = {name for name, flag in parts.items() if flag.killed or flag.everyone is False}
    assert not {part for _client, _user, part in has_now(of)} & off


def test_raising_voice_keeps_everybody_and_zero_removes_everybody(parts: dict[str, Flag]) -> None:
    Flag.objects.update(kept_percent=7)
    make_voice(apps, None)
    before = has_now([1])
    Flag.objects.filter(name=VOICE).update(percent=12)
    assert before < has_now([1])
    Flag.objects.filter(name=VOICE).update(percent=0)
    assert has_now([1]) == set()


def test_running_ramps_become_ramps_of_voice(parts: dict[str, Flag]) -> None:
    for name, percent in (("asr", 5), ("tts", 5), ("realtime", 1)):
        flag = parts[name]
        ramp = Ramp.objects.create(flag=flag, state="running", base_percent=1)
        ramp.step = RampStep.objects.create(ramp=ramp, percent=percent)
        ramp.save()
        flag.kept_percent = percent
        flag.save()
    make_voice(apps, None)
    assert list(Ramp.objects.order_by("id").values_list("flag__name", "state")) == [
        (VOICE, "running"),
        ("tts", "aborted"),
        ("realtime", "running"),
    ]
    assert Flag.objects.get(name="realtime").percent == 1


def test_the_funnel_is_monotone_on_random_histories() -> None:
    rng = Random(16)
    for _history in range(100):
        found = Funnel(0, 0, 0, 0, 0)
        for _client in range(rng.randint(1, 5)):
            month = rng.choice([0, rng.randint(0, 2000)])
            week = rng.randint(0, month)
            used = Active(day=rng.randint(0, week), week=week, month=month)
            found += Funnel.of(rng.choice([0, rng.randint(0, 20_000)]), rng.choice([0.0, rng.random(), 1.0]), used)
        assert found.eligible >= found.enabled >= found.month >= found.week >= found.day
