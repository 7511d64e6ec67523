"""Concurrent users are counted as distinct people in all live processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from capacity import concurrent_users
from capacity.concurrent_users import DatabaseStore, Leases, RedisStore, TooManyUsers, concurrency_slot
from capacity.models import ProcessLease
from capacity.presence import Presence, ServedUsers, merged
from core.errors import as_api_error
from core.per_loop import PerLoop
from rollout.feature import Feature
from tests import services
from tests.services import ROOT

LEASE_S = 2.0


@pytest.fixture
async def here(monkeypatch, settings) -> AsyncIterator[PerLoop[Leases]]:
    """The leases of this process, empty and with a short heartbeat."""
    settings.VOICE_LEASE_S = 0.4
    fresh = PerLoop(Leases)
    monkeypatch.setattr(concurrent_users, "leases", fresh)
    yield fresh
    await fresh().close()  # otherwise the heartbeat goes on in the next tests


async def eventually(condition, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def counts() -> tuple[int, int, int]:
    served = concurrent_users.now_served()
    return len(served.asr), len(served.tts), len(served.together)


@pytest.mark.django_db(transaction=True)
async def test_it_works(here: PerLoop[Leases]) -> None:
    held = here()
    async with (
        concurrency_slot(1, "aminah", Feature.ASR),
        concurrency_slot(1, "aminah", Feature.TTS),
        concurrency_slot(1, "bala", Feature.REALTIME),
    ):
        await eventually(lambda: counts() == (2, 1, 2))
    await eventually(lambda: counts() == (0, 0, 0))
    await eventually(lambda: held._beating is None)  # without users, nothing is written any more
    assert not await ProcessLease.objects.aexists()


@pytest.mark.django_db(transaction=True)
async def test_requests_between_two_heartbeats_are_counted(here: PerLoop[Leases], monkeypatch) -> None:
    published: list[Presence] = []  # kept, because the next heartbeat publishes that the users have gone

    class NotingStore(DatabaseStore):
        def publish(self, process: str, presence: Presence, lease_s: float) -> dict[str, Presence]:
            known = super().publish(process, presence, lease_s)
            published.append(merged(known.values()))
            return known

    monkeypatch.setattr(concurrent_users, "store", NotingStore)
    async with concurrency_slot(1, "aminah", Feature.ASR), concurrency_slot(1, "bala", Feature.ASR):
        pass
    async with concurrency_slot(1, "chong", Feature.TTS):
        pass
    await eventually(lambda: published)
    served = published[0]
    assert (len(served.asr), len(served.tts), len(served.together)) == (2, 1, 2)


def test_the_busiest_instant() -> None:
    present = ServedUsers()
    for name in ("a", "b", "b"):
        present.enter(name, Feature.ASR)
    present.leave("b", Feature.ASR)
    assert present.take_busiest().together == {"a", "b"}
    present.leave("b", Feature.ASR)
    present.enter("c", Feature.TTS)
    assert present.take_busiest() == Presence(frozenset("ab"), frozenset("c"), frozenset("ab"))
    assert present.take_busiest() == Presence(frozenset("a"), frozenset("c"), frozenset("ac"))


def test_fallback_replies_are_reported_once() -> None:
    present = ServedUsers()
    present.note_fallback()
    present.note_fallback()
    told = present.take_busiest()
    assert told.fallbacks == 2
    assert Presence.from_json(told.as_json()) == told
    assert present.take_busiest().fallbacks == 0
    assert merged([told, Presence(fallbacks=1)]).fallbacks == 3
    older = {name: value for name, value in told.as_json().items() if name != "stood_in"}
    assert Presence.from_json(older).fallbacks == 0


def test_a_user_of_two_processes_counts_once() -> None:
    one = Presence(frozenset("ab"), frozenset(), frozenset("ab"), gpu_percent=40)
    two = Presence(frozenset("b"), frozenset("c"), frozenset("bc"), gpu_percent=70)
    assert merged([one, two]) == Presence(frozenset("ab"), frozenset("c"), frozenset("abc"), 70)
    assert merged([]) == Presence()


async def test_a_request_costs_no_query(here: PerLoop[Leases], settings) -> None:
    """Any query would fail here, because this test has no database."""
    settings.VOICE_LEASE_S = 60
    for number in range(100):
        async with concurrency_slot(1, f"u{number}", Feature.ASR):
            pass
    assert len(here()._served.take_busiest().together) == 1
    await here().close()


@pytest.mark.django_db(transaction=True)
async def test_a_failed_request_is_no_longer_counted(here: PerLoop[Leases]) -> None:
    with pytest.raises(ValueError, match="broken"):
        async with concurrency_slot(1, "aminah", Feature.ASR):
            raise ValueError("broken")
    assert not here()._served.people


@pytest.mark.django_db(transaction=True)
async def test_an_unavailable_store_refuses_nobody(here: PerLoop[Leases], settings) -> None:
    held = here()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    async with concurrency_slot(1, "aminah", Feature.ASR):
        await asyncio.sleep(0.5)
    settings.REDIS_URL = ""
    await eventually(lambda: held._beating is None)


@pytest.mark.django_db(transaction=True)
async def test_users_beyond_the_limit_are_refused(here: PerLoop[Leases], settings) -> None:
    held = here()
    settings.VOICE_MAX_CONCURRENT_USERS = 3
    elsewhere = Presence(frozenset(["1:zul"]), frozenset(), frozenset(["1:zul"]))
    await asyncio.to_thread(lambda: DatabaseStore().publish("another", elsewhere, 60))
    async with concurrency_slot(1, "aminah", Feature.ASR):
        await eventually(lambda: held._elsewhere == {"1:zul"})
        async with (
            concurrency_slot(1, "bala", Feature.ASR),
            concurrency_slot(1, "zul", Feature.ASR),
            concurrency_slot(1, "aminah", Feature.TTS),
        ):
            with pytest.raises(TooManyUsers) as refusal:
                async with concurrency_slot(2, "aminah", Feature.ASR):  # another client's aminah is someone else
                    pass
            answer = as_api_error(refusal.value)
            assert (answer.status, answer.code) == (503, "over_capacity")
            assert answer.retry_after
            await concurrent_users.admit(1, "bala")
        await concurrent_users.admit(2, "aminah")
    await held.close()


@pytest.mark.parametrize("kind", ["database", "redis"])
@pytest.mark.django_db(transaction=True)
def test_each_store_publishes_and_expires_leases(kind: str, request) -> None:
    store = RedisStore(request.getfixturevalue("redis_url")) if kind == "redis" else DatabaseStore()
    one, two = (Presence(frozenset([name]), frozenset(), frozenset([name])) for name in ("1:a", "1:b"))
    store.publish("one", one, 60)
    assert store.publish("two", two, 0.3) == {"one": one, "two": two}
    time.sleep(0.35)
    assert store.read() == {"one": one}
    store.publish("one", Presence(), 60)
    assert store.read() == {}


@contextmanager
def process(environment: dict[str, str], *work: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.capacity.holder", *work]
    started = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.wait(10)
        assert started.stdout is not None
        started.stdout.close()


def wait_for(reader: subprocess.Popen[str], expected: str) -> float:
    """Wait until the reader prints the line ``expected``; return how many seconds that took."""
    started = time.monotonic()
    assert reader.stdout is not None
    for line in reader.stdout:
        if line.strip() == expected:
            return time.monotonic() - started
        assert time.monotonic() - started < 60, line
    raise AssertionError("the reader ended")


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def environment(request, tmp_path: Path) -> dict[str, str]:
    """The environment variables for a store that several processes share."""
    shared = {
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_STATE_DIR": str(tmp_path),
        "VOICE_LEASE_S": str(LEASE_S),
        "DATABASE_URL": "",
        "REDIS_URL": "",
    }
    if request.param == "postgres":
        shared["DATABASE_URL"] = request.getfixturevalue("migrated_postgres_url")
    elif request.param == "redis":
        shared["REDIS_URL"] = request.getfixturevalue("redis_url")
    else:
        shutil.copyfile(services.state_of_the_demo() / "voice.sqlite3", tmp_path / "voice.sqlite3")
    return shared


def test_users_of_a_killed_process_expire(environment: dict[str, str]) -> None:
    with ExitStack() as stack:
        reader = stack.enter_context(process(environment))
        one = stack.enter_context(process(environment, "asr:aminah", "tts:aminah", "asr:bala"))
        stack.enter_context(process(environment, "realtime:bala", "tts:chong"))
        wait_for(reader, "2 2 3")
        one.send_signal(signal.SIGKILL)
        took_s = wait_for(reader, "1 1 2")
        assert took_s < LEASE_S + 2  # 2 s for a busy machine; with the usual lease of 20 s this is within 30 s
        time.sleep(LEASE_S)
        wait_for(reader, "1 1 2")  # users of live processes stay
