"""A tool whose extra requirements are missing immediately prints a single line that says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT

# Hide these packages from the interpreter, as if only requirements.txt were installed.
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.mark.parametrize(
    ("hidden", "command", "expected"),
    [
        (
            "matplotlib",
            ["manage.py", "plan_capacity", "--plots", "x"],
            "matplotlib, which is not installed: make setup",
        ),
        (
            "torch",
            ["-m", "tools.training.export", "x"],
            "torch, which is not installed: pip install -r requirements-tr",
        ),
        ("locust", ["manage.py", "loadtest", "baseline"], "locust, which is not installed: make setup-dev"),
        (
            "tests",
            ["manage.py", "measure_rates", "rates.json"],
            "a checkout with its development tools (make setup-dev)",
        ),
        ("ray", ["-m", "tools.benchmarks.tier_scaling"], "VOICE_TEST_CLUSTER_PYTHON"),
    ],
)
def test_it_says_what_is_missing(hidden: str, command: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(hidden=[hidden]))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "VOICE_STATE_DIR": str(tmp_path / "state")}
    environment |= {"DJANGO_SETTINGS_MODULE": "voiceproject.settings"}  # not the tests' settings, which one case hides
    environment.pop("VOICE_TEST_CLUSTER_PYTHON", None)
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert expected in line
