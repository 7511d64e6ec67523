"""The same on PostgreSQL as on SQLite: this app's tests, run again with a PostgreSQL server; and two processes that
share one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection

from tests import services
from tests.services import Served

AGAIN = "VOICE_TESTS_AGAIN"  # set in the inner run
MODULES = "cost guards on_postgresql personal plans quality quota rebuild spool statements weeks writer".split()

outer = pytest.mark.skipif(AGAIN in os.environ, reason="this is the inner run")


@pytest.mark.skipif(AGAIN not in os.environ, reason="this is the outer run")
def test_this_is_postgresql(db) -> None:
    assert connection.vendor == "postgresql"


@outer
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "modules",
    [[f"usage/test_{module}" for module in MODULES], ["dashboard/test_dashboard", "dashboard/test_dashboard_pages"]],
    ids=["books", "dashboard"],
)
def test_the_apps_tests(postgres_url: str, tmp_path: Path, modules: list[str]) -> None:
    environment = {**os.environ, AGAIN: "yes", "DATABASE_URL": postgres_url, "VOICE_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    files = [f"tests/{module}.py" for module in modules]
    run = subprocess.run([*command, *files], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


SMALL_PLAN = """
from usage.models import Plan
Plan.objects.update(is_default=False)
Plan.objects.create(name="ten", is_default=True, hard_characters=200)
"""
BOOKS = """
from django.db.models import Sum
from usage.models import Consumption, DailyUse, LedgerEntry
def said():
    ledger = LedgerEntry.objects.filter(status=200).aggregate(n=Sum("characters"))["n"]
    day = DailyUse.objects.aggregate(n=Sum("characters"), requests=Sum("requests"))
    month = Consumption.objects.get(measure="characters")
    return ledger, day["n"], day["requests"], month.used, month.reserved
before = said()
from usage.rebuild import rebuild
rebuild()
print(before, before == said())
"""


@pytest.fixture
def two(tmp_path: Path, postgres_url: str) -> Iterator[list[Served]]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        services.served(folders[0], DATABASE_URL=postgres_url) as first,
        services.served(folders[1], DATABASE_URL=postgres_url) as second,
    ):
        yield [first, second]


def manage(code: str, server: Served, url: str) -> str:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "VOICE_STATE_DIR": str(server.log.parent / "state"),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
    }
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    run = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip()


@outer
async def test_two_processes_let_ten_of_fifty_pass(two: list[Served], postgres_url: str) -> None:
    manage(SMALL_PLAN, two[0], postgres_url)
    body = {"input": "Selamat pagi, semua."}
    async with httpx.AsyncClient(timeout=60) as client:
        posts = []
        for number in range(50):
            server = two[number % 2]
            headers = server.headers(**{"X-Voice-User": "aminah"})
            posts.append(client.post(f"{server.url}/v1/audio/speech", json=body, headers=headers))
        statuses = sorted(response.status_code for response in await asyncio.gather(*posts))
    assert statuses == [200] * 10 + [429] * 40
    assert manage(BOOKS, two[0], postgres_url) == "(200, 200, 50, 200, 0) True"
