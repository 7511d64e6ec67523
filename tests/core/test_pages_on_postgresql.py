"""The same on PostgreSQL as on SQLite: the demo's quarter and the lists of the admin, run again with a server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT

MODULES = ["tools/demo/test_seed_demo", "core/test_admin_queries"]


@pytest.mark.timeout(300)
def test_these_modules(postgres_url: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": postgres_url, "VOICE_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    modules = [f"tests/{module}.py" for module in MODULES]
    run = subprocess.run([*command, *modules], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
