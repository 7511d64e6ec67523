"""A database of the previous version, with data in the tables of every app, can be migrated and then used.

``database_0_1.sql.gz`` is a SQLite dump of a database of version 0.1. It contains requests, roll-ups, statements, flags
with their audit trail, alerts, a load test, and an API key.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.services import ROOT

DUMP = Path(__file__).with_name("database_0_1.sql.gz")
KEY = "vk_a-key-of-the-version-before"
# Tables that Django itself changes when it migrates.
DJANGOS_OWN = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group_permissions",
    "sqlite_sequence",
}
# Rows added when voice became one flag: the flag, a listed user, a cohort and a row in the audit trail.
ADDED = {"rollout_flag": 1, "rollout_listeduser": 1, "rollout_flag_cohorts": 1, "rollout_change": 1}
ROLL_UPS = {"usage_userweek", "usage_dailyactive", "usage_cohortweek"}
USED_ON = f"""
import django; django.setup()
from core.models import ApiKey
from rollout.models import Flag
from usage import quota
from usage.models import Consumption, LedgerEntry
key = ApiKey.find("{KEY}")
assert key is not None and key.client.name == "chat-lama"
assert Flag.objects.get(name="asr") is not None
account = quota.load(key.client_id, "user0")
assert account.quotas
# The dump's use is of one month, which ``quota.load`` shows only until that month is over.
assert Consumption.objects.filter(client_id=key.client_id, user="user0", used__gt=0).exists()
entry = LedgerEntry.objects.first()
try:
    LedgerEntry.objects.filter(pk=entry.pk).update(user="other")
except Exception:
    print("kept")
"""


def migrated(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as database:
        return set(database.execute("SELECT app, name FROM django_migrations"))


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    path = tmp_path / "voice.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(gzip.decompress(DUMP.read_bytes()).decode())
    return path


def test_a_database_of_the_first_release_is_migrated_with_its_data(left_behind: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_STATE_DIR": str(left_behind.parent),
        "VOICE_ASR_MODEL": "whisper-ms-demo",
        "VOICE_TTS_MODEL": "espeak-ng",
    }
    environment.pop("DATABASE_URL", None)
    before = counts(left_behind)
    assert before["usage_ledgerentry"] == 12
    known = migrated(left_behind)
    assert "waffle" in {app for app, _name in known}

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("manage.py", "migrate", "--no-input")
    python("manage.py", "migrate", "--check")
    assert known <= migrated(left_behind), "the version before would think that it has to migrate"
    after = counts(left_behind)
    for name in before:
        if name not in DJANGOS_OWN:
            added = after[name] - before[name]
            # Roll-ups may get more rows. The other tables grow as ``ADDED`` says, or not at all.
            assert added == ADDED.get(name, 0) or (name in ROLL_UPS and added > 0), name
    assert python("-c", USED_ON) == "kept\n"
    pages = python("-c", (ROOT / "tests" / "open_everything.py").read_text()).split()[-1]
    assert int(pages) > 60
