"""Only one process is the leader; another process takes over when the leader stops or dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from capacity.leader_election import DatabaseElection, Election, RedisElection
from tests.services import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["database", "redis"])
def election(request) -> Election:
    if request.param == "redis":
        return RedisElection("test", request.getfixturevalue("redis_url"))
    return DatabaseElection("test")


def test_it_works(election: Election) -> None:
    assert election.renew("one", 60)
    assert not election.renew("two", 60)
    assert election.renew("one", 60)
    election.resign("two")
    assert not election.renew("two", 60)
    election.resign("one")
    assert election.renew("two", 60)
    assert not election.renew("one", 60)
    election.resign("two")


def test_a_dead_leader_is_replaced(election: Election) -> None:
    assert election.renew("one", 0.3)
    assert not election.renew("two", 0.3)
    time.sleep(0.35)
    assert election.renew("two", 60)
    assert not election.renew("one", 60)  # the old leader was only suspended and must notice that it lost
    election.resign("two")


def test_only_one_of_many_candidates_wins(election: Election) -> None:
    won: list[bool] = []
    barrier = threading.Barrier(8)

    def run(number: int) -> None:
        from django.db import connection

        barrier.wait()
        try:
            won.append(election.renew(f"number {number}", 60))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    for number in range(8):
        election.resign(f"number {number}")


def test_watch_capacity_leads_and_resigns(tmp_path, redis_url: str) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_STATE_DIR": str(tmp_path),
        "REDIS_URL": redis_url,
    }
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    watching = subprocess.Popen(
        [sys.executable, "manage.py", "watch_capacity"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        other = RedisElection("watch", redis_url)
        deadline = time.monotonic() + 40
        while other.renew("a test", 0.01) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not other.renew("a test", 0.01)
        watching.send_signal(signal.SIGTERM)
        printed, logged = watching.communicate(timeout=15)
        assert watching.returncode == 0
        assert printed == "Watching.\nStopped.\n"
        assert "Traceback" not in logged
        assert other.renew("a test", 0.01)
    finally:
        watching.kill()
        watching.wait(10)
