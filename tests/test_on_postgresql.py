"""Tests that pass on SQLite, and whose result may depend on the database, also pass on PostgreSQL.

They are run again in a single inner pytest run, because creating the tables takes seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests.services import ROOT

AGAIN = "VOICE_TESTS_AGAIN"  # set in the inner run
USAGE = "cost triggers personal_data plans quality quota rebuild spool statements activity ledger_writer".split()
CAPACITY = "figures notifications alert_metrics phase_outlook uptime watch".split()
TESTS = [
    *(f"usage/test_{module}.py" for module in USAGE),
    *(f"capacity/test_{module}.py" for module in CAPACITY),
    "capacity/test_alerts.py::test_each_rule_fires_notifies_and_resolves",
    "capacity/test_alerts.py::test_acknowledging_ends_the_reminders",
    "capacity/test_alerts.py::test_alerts_of_the_previous_version_continue",
    "dashboard/test_dashboard.py::TestNumbers",
    "dashboard/test_dashboard_pages.py::TestPage::test_it_works",
    "dashboard/test_homepage.py::test_it_works",
    "core/test_admin_queries.py",
    "tools/demo/test_seed_demo.py::TestTheQuarter",
    "tools/demo/test_seed_demo.py::test_a_credit_note_with_its_counter_entry",
]
NOT_AGAIN = "not TestTenThousandRows and not test_the_interval_contains_the_true_rate"


@pytest.mark.skipif(AGAIN not in os.environ, reason="this is the outer run")
def test_the_inner_run_uses_postgresql(db) -> None:
    assert connection.vendor == "postgresql"


@pytest.mark.skipif(AGAIN in os.environ, reason="this is the inner run")
@pytest.mark.timeout(600)
def test_selected_tests_pass_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    environment = {**os.environ, AGAIN: "yes", "DATABASE_URL": postgres_url, "VOICE_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", NOT_AGAIN, __file__]
    command += [f"tests/{test}" for test in TESTS]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
