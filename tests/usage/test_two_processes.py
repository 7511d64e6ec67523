"""Two processes that share a PostgreSQL database together allow exactly as much use as the plan allows."""

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

from tests import services
from tests.services import Served

SMALL_PLAN = """
from usage.models import Plan
Plan.objects.update(is_default=False)
Plan.objects.create(name="ten", is_default=True, hard_characters=200)
"""
COUNTS = """
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
def two(tmp_path: Path, migrated_postgres_url: str) -> Iterator[list[Served]]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        services.served(folders[0], DATABASE_URL=migrated_postgres_url) as first,
        services.served(folders[1], DATABASE_URL=migrated_postgres_url) as second,
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


async def test_two_processes_share_one_quota(two: list[Served], migrated_postgres_url: str) -> None:
    manage(SMALL_PLAN, two[0], migrated_postgres_url)
    body = {"input": "Selamat pagi, semua."}
    async with httpx.AsyncClient(timeout=60) as client:
        posts = []
        for number in range(50):
            server = two[number % 2]
            headers = server.headers(**{"X-Voice-User": "aminah"})
            posts.append(client.post(f"{server.url}/v1/audio/speech", json=body, headers=headers))
        statuses = sorted(response.status_code for response in await asyncio.gather(*posts))
    assert statuses == [200] * 10 + [429] * 40
    assert manage(COUNTS, two[0], migrated_postgres_url) == "(200, 200, 50, 200, 0) True"
