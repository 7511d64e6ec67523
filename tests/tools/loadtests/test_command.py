"""``manage.py loadtest`` against a service, both as real processes, with small loads."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests import services
from tests.dependencies import free_port
from tests.services import Served
from tools.loadtests.management.commands.loadtest import STATUS, Command

TINY = ["--scale-time", "0.02", "--users-scale", "0.4", "--no-warm-up"]  # of the baseline: 4 users for 6 s
ENOUGH_S = 200

pytestmark = pytest.mark.timeout(ENOUGH_S + 40)


def command(state: Path, report: Path, *options: str) -> tuple[list[str], dict[str, str]]:
    environment = {"DJANGO_SETTINGS_MODULE": "voiceproject.settings", "VOICE_STATE_DIR": str(state)}
    line = [sys.executable, "manage.py", "loadtest", *options, "--report", str(report)]
    return line, {**os.environ, **environment}


def run(state: Path, report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    line, environment = command(state, report, *options)
    return subprocess.run(
        line, cwd=services.ROOT, env=environment, capture_output=True, text=True, timeout=ENOUGH_S, check=False
    )


def told(report: Path) -> dict[str, Any]:
    return json.loads((report / "report.json").read_text())


def state_of(service: Served) -> Path:
    return service.log.parent / "state"


def test_it_works(served_service: Served, tmp_path: Path) -> None:
    state = state_of(served_service)
    at = ["--host", served_service.url, "--key", served_service.key]
    done = run(state, tmp_path, "baseline", *at, *TINY, "--closed-loop")
    report = told(tmp_path)
    assert done.returncode == STATUS[report["verdict"]], done.stdout + done.stderr
    assert (report["users"], report["most_users"], report["is_complete"]) == (4, 4, True)
    asked = {name: kind["requests"] for name, kind in report["kinds"].items()}
    assert all(asked.values()), asked
    assert report["reasons"] == []
    assert report["success_percent"] == 100
    assert report["memory"][0]["mib"]
    assert (
        sum(voice["replies"] for voice in report["voices"])
        == report["kinds"]["tts"]["ok"] + report["kinds"]["live_tts"]["ok"]
    )
    assert all(voice["audio_s"] > 0.5 * voice["replies"] for voice in report["voices"])
    assert "/s, " in done.stdout  # a line of the progress
    assert "✓ No request hangs" in done.stdout
    assert " No memory leak" in done.stdout  # measured only if a slow machine makes the run long enough
    with closing(sqlite3.connect(state / "voice.sqlite3")) as database:
        query = "SELECT scenario, time_scale, concurrent_users, host, report FROM capacity_loadtestrun"
        ((scenario, scale, users, host, kept),) = database.execute(query).fetchall()
        people = database.execute("SELECT DISTINCT user FROM usage_ledgerentry WHERE user LIKE 'loadtest-%'").fetchall()
    assert (scenario, scale, users, host) == ("baseline", 0.02, 4, served_service.url)
    assert json.loads(kept) == report
    assert len(people) == 4  # each simulated user is a different end user


def test_refusals_are_counted_separately_and_waited_out(tmp_path: Path) -> None:
    """Refused users wait until the minute of the rate limit is over, so there are few refusals."""
    (tmp_path / "service").mkdir()
    with services.served(tmp_path / "service", VOICE_RATE_LIMIT="6") as service:
        at = ["--host", service.url, "--key", service.key, "--no-store"]
        done = run(state_of(service), tmp_path / "report", "baseline", *at, *TINY, "--closed-loop")
    report = told(tmp_path / "report")
    kinds = report["kinds"].values()
    assert done.returncode == 1, done.stdout + done.stderr
    assert sum(kind["failures"] + kind["hung"] for kind in kinds) == 0
    assert sum(kind["refusals"] for kind in kinds) >= 1
    assert {reason["why"] for reason in report["reasons"]} == {"429 rate_limit_exceeded"}
    assert {reason["outcome"] for reason in report["reasons"]} == {"refused"}


def refused(*options: str) -> CommandError:
    """Call the command with options that it refuses before it starts anything; return the error.

    The ``returncode`` of the error is the exit status of the process.
    """
    with pytest.raises(CommandError) as error:
        call_command("loadtest", "baseline", *options, *TINY)
    return error.value


@pytest.mark.parametrize("options", [["--key", "vk_wrong"], []])
def test_an_invalid_key(served_service: Served, tmp_path: Path, options: list[str]) -> None:
    error = refused("--host", served_service.url, "--report", str(tmp_path), *options)
    assert error.returncode == 2
    assert ("(401)" if options else "needs --key") in str(error)
    assert not (tmp_path / "report.json").exists()


def test_a_host_that_does_not_answer(tmp_path: Path) -> None:
    error = refused("--host", f"http://127.0.0.1:{free_port()}", "--key", "x", "--report", str(tmp_path))
    assert error.returncode == 2
    assert "cannot be reached" in str(error)


@pytest.mark.parametrize("wrong", [["nonsense"], ["baseline", "--scale-time", "0"], ["baseline", "--users-scale", "x"]])
def test_invalid_options(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "loadtest", *wrong])
    assert ended.value.code == 2


def started(line: list[str], environment: dict[str, str], until: str) -> tuple[subprocess.Popen[str], str]:
    """Start the command, and read its output up to the text ``until``; return the process and this output."""
    process = subprocess.Popen(
        line, cwd=services.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = ""
    for text in process.stdout:
        seen += text
        if until in text:
            break
    return process, seen


def test_an_interrupted_run_still_reports(tmp_path: Path) -> None:
    """The run loads a temporary service that the command itself starts."""
    options = ["normal_load", "--users-scale", "0.1", "--scale-time", "0.05", "--no-warm-up"]
    process, seen = started(*command(tmp_path / "state", tmp_path / "report", *options), " 5 users, ")
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=ENOUGH_S)
    assert process.returncode == 2, seen + rest + errors
    assert "NO VERDICT: incomplete, it was interrupted" in rest
    report = told(tmp_path / "report")
    assert report["is_complete"] is False
    assert report["most_users"] == 5
    assert "Incomplete" in (tmp_path / "report" / "report.html").read_text()
    assert "Not stored" in errors  # this database has no tables


def test_a_service_that_dies(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    with services.served(tmp_path / "service") as service:
        at = ["--host", service.url, "--key", service.key, "--no-store", "--users-scale", "0.4", "--no-warm-up"]
        options = ["baseline", *at, "--scale-time", "0.03"]
        process, seen = started(*command(tmp_path / "state", tmp_path / "report", *options), " 4 users, ")
        service.process.kill()
        rest, errors = process.communicate(timeout=ENOUGH_S)
    assert process.returncode == 1, seen + rest + errors
    report = told(tmp_path / "report")
    assert report["is_complete"]
    assert {row["name"]: row["verdict"] for row in report["criteria"]}["No crash"] == "failed"
    assert report["success_percent"] < 99
    assert all(reason["outcome"] == "failed" for reason in report["reasons"])


class Silent(BaseHTTPRequestHandler):
    """A service that seems ready but never answers speech requests."""

    def do_GET(self) -> None:
        if self.path.startswith("/ws/"):
            return self.do_POST()
        self.send_response(404 if self.path == "/metrics" else 200)
        self.end_headers()
        self.wfile.write(b'{"features": {}}')
        return None

    def do_POST(self) -> None:
        over.wait(ENOUGH_S)

    def log_message(self, *_args: Any) -> None:
        pass


over = threading.Event()


def test_a_service_that_hangs(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    at = ["--host", f"http://127.0.0.1:{server.server_port}", "--key", "x", "--no-store", "--patience", "2"]
    try:
        done = run(tmp_path / "state", tmp_path, "baseline", *at, *TINY)
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 1, done.stdout + done.stderr
    report = told(tmp_path)
    assert all(kind["hung"] == kind["requests"] > 0 for kind in report["kinds"].values())
    verdicts = {row["name"]: row["verdict"] for row in report["criteria"]}
    assert (verdicts["No request hangs"], verdicts["No memory leak"]) == ("failed", "not measured")
