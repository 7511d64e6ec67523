"""Who has voice, by which rule, and how soon a change takes effect."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from decimal import Decimal

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import Group, User

from core.identity import Caller
from core.models import ClientApplication
from rollout import policy
from rollout.feature import Feature
from rollout.models import ClientShare, Cohort, Flag, ListedUser
from rollout.percentage import is_within
from rollout.policy import Reason
from tests import services

IN_AT_5 = next(f"user-{n}" for n in range(1000) if is_within(f"user-{n}", Decimal(5)))
OUT_AT_99 = next(f"user-{n}" for n in range(1000) if not is_within(f"user-{n}", Decimal(99)))


def decide(caller: Caller, user: str, feature: str = "asr") -> tuple[bool, Reason]:
    decision = policy.load().decide(caller.client_id, user, feature)
    return decision.allowed, decision.reason


def test_it_works(flags: dict[str, Flag], caller: Caller) -> None:
    flag = flags["voice"]
    assert decide(caller, IN_AT_5) == (False, Reason.OUTSIDE)
    flag.percent = 5
    flag.save()
    assert decide(caller, IN_AT_5) == (True, Reason.PERCENTAGE)
    assert decide(caller, OUT_AT_99) == (False, Reason.OUTSIDE)
    assert decide(caller, IN_AT_5, "tts") == (True, Reason.PERCENTAGE)


def test_lists_precede_the_percentage(flags: dict[str, Flag], caller: Caller) -> None:
    flag = flags["voice"]
    flag.percent = 5
    flag.save()
    ListedUser.objects.create(flag=flag, user=IN_AT_5, list="deny")
    ListedUser.objects.create(flag=flag, user=OUT_AT_99, list="allow")
    assert decide(caller, IN_AT_5) == (False, Reason.DENIED)
    assert decide(caller, OUT_AT_99) == (True, Reason.ALLOWED)


def test_a_user_listed_for_one_client_is_not_listed_for_another(flags: dict[str, Flag], caller: Caller) -> None:
    other = ClientApplication.objects.create(name="other")
    ListedUser.objects.create(flag=flags["voice"], client=other, user="aminah", list="allow")
    assert decide(caller, "aminah") == (False, Reason.OUTSIDE)
    assert policy.load().decide(other.pk, "aminah", "asr").allowed


def test_a_client_has_its_own_percentage(flags: dict[str, Flag], caller: Caller, chat: ClientApplication) -> None:
    flag = flags["voice"]
    flag.percent = 100
    flag.save()
    share = ClientShare.objects.create(flag=flag, client=chat, percent=0)
    assert decide(caller, IN_AT_5) == (False, Reason.OUTSIDE)
    share.percent = 100
    share.save()
    assert decide(caller, OUT_AT_99) == (True, Reason.CLIENT)


def test_cohorts(flags: dict[str, Flag], caller: Caller) -> None:
    pilot = Cohort.objects.create(name="pilot")
    assert pilot.add(["aminah", "bala", "aminah"]) == 2
    flags["voice"].cohorts.add(pilot)
    assert decide(caller, "aminah") == (True, Reason.COHORT)
    pilot.remove(["aminah"])
    assert decide(caller, "aminah") == (False, Reason.OUTSIDE)
    assert decide(caller, "bala") == (True, Reason.COHORT)


def test_staff_accounts_and_groups(flags: dict[str, Flag], caller: Caller) -> None:
    flag = flags["voice"]
    siti = User.objects.create_user("siti", is_staff=True)
    assert not decide(caller, "siti")[0]
    flag.staff = True
    flag.save()
    assert decide(caller, "siti") == (True, Reason.STAFF)
    flag.staff = False
    flag.save()
    testers = Group.objects.create(name="testers")
    siti.groups.add(testers)
    flag.groups.add(testers)
    assert decide(caller, "siti") == (True, Reason.STAFF)
    siti.is_active = False
    siti.save()
    policy.forget()
    assert not decide(caller, "siti")[0]


def test_the_kill_switch_overrides_all_rules_and_keeps_them(flags: dict[str, Flag], caller: Caller) -> None:
    flag = flags["voice"]
    flag.everyone = True
    flag.killed = True
    flag.save()
    ListedUser.objects.create(flag=flag, user="aminah", list="allow")
    assert decide(caller, "aminah") == (False, Reason.KILLED)
    flag.killed = False
    flag.save()
    assert decide(caller, "anybody") == (True, Reason.EVERYONE)


def test_everyone_includes_all_but_the_denied(flags: dict[str, Flag], caller: Caller) -> None:
    flag = flags["voice"]
    flag.everyone = True
    flag.save()
    ListedUser.objects.create(flag=flag, user="aminah", list="deny")
    assert decide(caller, "aminah") == (False, Reason.DENIED)
    assert decide(caller, "bala") == (True, Reason.EVERYONE)


def test_a_feature_without_a_flag_is_off(flags: dict[str, Flag], caller: Caller) -> None:
    flags["tts"].delete()
    assert decide(caller, "aminah", "tts") == (False, Reason.OFF)


def test_one_percentage_gives_all_parts_of_voice(flags: dict[str, Flag], caller: Caller) -> None:
    Flag.objects.filter(name="voice").update(percent=7)
    rules = policy.load()
    had = [{part for part in Feature if rules.decide(1, f"user-{n}", part).allowed} for n in range(5000)]
    assert {len(parts) for parts in had} == {0, 3}
    assert abs(sum(map(bool, had)) / 50 - 7) < 1.5


def test_a_parts_flag_only_restricts(flags: dict[str, Flag], caller: Caller) -> None:
    Flag.objects.filter(name="voice").update(percent=50)
    Flag.objects.filter(name="tts").update(percent=5)
    Flag.objects.filter(name="realtime").update(percent=90)
    rules = policy.load()
    for user in (f"user-{n}" for n in range(500)):
        asr, tts, live = (rules.decide(1, user, part).allowed for part in Feature)
        assert asr == live == is_within(user, Decimal(50))
        assert tts == is_within(user, Decimal(5))
    ListedUser.objects.create(flag=flags["tts"], user=OUT_AT_99, list="allow")
    assert decide(caller, OUT_AT_99, "tts") == (False, Reason.OUTSIDE)
    ListedUser.objects.create(flag=flags["voice"], user=OUT_AT_99, list="allow")
    assert decide(caller, OUT_AT_99, "tts") == (True, Reason.ALLOWED)
    assert decide(caller, OUT_AT_99, "realtime") == (False, Reason.OUTSIDE)


@pytest.mark.parametrize("fields", [{"killed": True}, {"everyone": False}, {"percent": 0}])
def test_switching_voice_off_switches_every_part_off(flags: dict[str, Flag], caller: Caller, fields) -> None:
    Flag.objects.filter(name="voice").update(percent=100)
    Flag.objects.exclude(name="voice").update(everyone=True, kept_percent=100)
    assert all(decide(caller, "aminah", part)[0] for part in Feature)
    Flag.objects.filter(name="voice").update(**fields)
    assert not any(decide(caller, "aminah", part)[0] for part in Feature)


@pytest.mark.django_db(transaction=True)
async def test_the_rules_are_read_once_for_simultaneous_requests(
    flags: dict[str, Flag], caller: Caller, monkeypatch
) -> None:
    readings = []
    load = policy.load
    monkeypatch.setattr(policy, "load", lambda known: readings.append(known) or load(known))
    await asyncio.gather(*(policy.decide(caller, f"user-{number}", "asr") for number in range(1000)))
    assert not (await policy.decide(caller, "aminah", "asr")).allowed
    assert len(readings) == 1
    flags["voice"].everyone = True
    await sync_to_async(flags["voice"].save)()
    assert (await policy.decide(caller, "aminah", "asr")).allowed


@pytest.mark.django_db(transaction=True)
async def test_a_change_made_without_signals_is_noticed(flags: dict[str, Flag], caller, monkeypatch) -> None:
    monkeypatch.setattr(policy, "FRESH_S", 0.05)
    assert not (await policy.decide(caller, "aminah", "asr")).allowed
    await Flag._base_manager.filter(name="voice").aupdate(everyone=True)  # without signals and audit trail
    await asyncio.sleep(0.06)
    assert (await policy.decide(caller, "aminah", "asr")).allowed


def test_the_kill_switch_acts_on_a_running_service(served_service: services.Served) -> None:
    def is_on() -> bool:
        headers = served_service.headers()
        response = httpx.post(f"{served_service.url}/v1/audio/speech", headers=headers, json={"input": "Selamat pagi."})
        if response.status_code == 403:
            assert response.json()["error"]["code"] == "voice_not_enabled"
        return response.status_code == 200

    def switch(action: str) -> float:
        state = served_service.log.parent / "state"
        environment = {**os.environ, "VOICE_STATE_DIR": str(state), "DJANGO_SETTINGS_MODULE": "voiceproject.settings"}
        command = [sys.executable, "manage.py", "voice", action, "tts", "--why", "a test"]
        subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True)
        return time.monotonic()

    assert is_on()
    at = switch("off")
    while is_on():
        assert time.monotonic() - at < 5
        time.sleep(0.1)
    at = switch("on")
    while not is_on():
        assert time.monotonic() - at < 5
        time.sleep(0.1)
