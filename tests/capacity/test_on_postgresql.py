"""The same on PostgreSQL as on SQLite: what of this app talks to the database, run again with a PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT

MODULES = "alerts board delivery measure phases probe watch".split()


@pytest.mark.timeout(300)
def test_the_apps_tests(postgres_url: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": postgres_url, "VOICE_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    modules = [*(f"tests/capacity/test_{module}.py" for module in MODULES), "tests/dashboard/test_home.py"]
    run = subprocess.run([*command, *modules], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
