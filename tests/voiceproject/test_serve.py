"""``manage.py serve`` as a process: it starts or says why it cannot, prints instructions, and stops."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from tests.services import Served, served

LONG = "Selamat pagi semua. Hari ini hujan turun dengan lebat sekali. Kami duduk di rumah sahaja. " * 40


def printed_curls(server: Served) -> list[str]:
    """Return the curl commands that the service printed, each as one line for a shell."""
    text = server.log.read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip().startswith("curl ")]


def rows(state: Path) -> list[tuple[str, int]]:
    script = "import sqlite3,sys;print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
    query = "select kind, status from usage_ledgerentry order by id"
    command = ["python3", "-c", script, str(state / "voice.sqlite3"), query]
    return eval(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_printed_commands_work(served_service: Served, tmp_path: Path) -> None:
    speech, transcription = printed_curls(served_service)
    subprocess.run(speech, shell=True, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "malay.mp3").stat().st_size > 5_000
    heard = subprocess.run(transcription, shell=True, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "selamat pagi" in heard.lower()


def test_it_prints_address_key_and_login(served_service: Served) -> None:
    printed = served_service.log.read_text()
    for expected in (served_service.url, served_service.key, f"{served_service.url}/admin/", "admin", "rahsia-ujian"):
        assert expected in printed


def test_the_printed_login_opens_the_admin(served_service: Served) -> None:
    with httpx.Client(base_url=served_service.url, follow_redirects=True) as browser:
        page = browser.get("/admin/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        form = {"username": "admin", "password": "rahsia-ujian", "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        page = browser.post("/admin/login/", data=form)
        assert "API keys" in page.text
        assert browser.get("/admin/usage/ledgerentry/").status_code == 200


def test_a_second_start_prints_the_same_credentials(tmp_path: Path) -> None:
    with served(tmp_path, is_first_start=True, VOICE_DEMO_API_KEY="") as first:
        before = [shlex.split(line)[3] for line in printed_curls(first)]
        assert first.stop() == 0
    with served(tmp_path, VOICE_DEMO_API_KEY="") as second:
        assert [shlex.split(line)[3] for line in printed_curls(second)] == before
        assert "Applying" not in second.log.read_text()
    for secret in ("demo_api_key", "secret_key"):
        assert (tmp_path / "state" / secret).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_finish(tmp_path: Path, number: int) -> None:
    with served(tmp_path, VOICE_TTS_CACHE_BYTES="0") as server:
        sizes: list[int] = []
        began = threading.Event()

        def listen() -> None:
            body = {"input": LONG, "response_format": "wav"}
            url = f"{server.url}/v1/audio/speech"
            with httpx.stream("POST", url, json=body, headers=server.headers(), timeout=60) as response:
                for chunk in response.iter_raw():
                    sizes.append(len(chunk))
                    began.set()

        listener = threading.Thread(target=listen)
        listener.start()
        assert began.wait(20)
        assert server.stop(number) == 0
        listener.join(20)
        printed = server.log.read_text()
    assert sum(sizes) > 1_000_000
    assert "Stopping" in printed
    assert "Traceback" not in printed
    assert rows(tmp_path / "state") == [("speech", 200)]


@pytest.mark.parametrize("name", ["uvicorn", "daphne"])
def test_requests_that_outlast_the_grace_period_are_cancelled_and_settled(name: str, tmp_path: Path) -> None:
    with served(tmp_path, "--server", name, VOICE_GRACE_S="0.2", VOICE_TTS_CACHE_BYTES="0") as server:
        body = {"input": LONG, "response_format": "wav"}
        url = f"{server.url}/v1/audio/speech"
        with httpx.stream("POST", url, json=body, headers=server.headers(), timeout=60) as response:
            next(response.iter_raw(1))  # then stop reading, which keeps the server from finishing
            assert server.stop(timeout_s=15) == 0
        assert "Traceback" not in server.log.read_text()
    assert [kind for kind, _status in rows(tmp_path / "state")] == ["speech"]


def test_a_port_in_use_is_reported(served_service: Served, tmp_path: Path) -> None:
    port = served_service.url.rpartition(":")[2]
    with pytest.raises(RuntimeError, match="ended with 1"), served(tmp_path, PORT=port):
        pass
    printed = (tmp_path / "serve.log").read_text()
    assert f"cannot listen on port {port}" in printed
    assert "Traceback" not in printed


def test_an_unusable_database_is_reported(tmp_path: Path) -> None:
    """The service prints one plain sentence instead of a traceback."""
    with pytest.raises(RuntimeError, match="ended with 1"), served(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}"):
        pass
    printed = (tmp_path / "serve.log").read_text()
    assert "The database cannot be used: unable to open database file" in printed
    assert "Traceback" not in printed


def test_it_runs_on_postgresql_and_redis(tmp_path: Path, migrated_postgres_url: str, redis_url: str) -> None:
    with served(tmp_path, DATABASE_URL=migrated_postgres_url, REDIS_URL=redis_url, VOICE_RATE_LIMIT="100") as server:
        with httpx.Client(base_url=server.url, headers=server.headers(), timeout=60) as client:
            assert client.get("/readyz").json()["checks"] == {"models": "ok", "database": "ok", "redis": "ok"}
            key = {"Idempotency-Key": "satu"}
            first, second = (client.post("/v1/audio/speech", json={"input": "Apa khabar?"}, headers=key) for _ in "12")
            assert first.content == second.content
            assert second.headers["Idempotent-Replayed"] == "true"
            assert first.headers["X-RateLimit-Remaining-Requests"] == "99"
            (row,) = client.get("/v1/usage").json()["data"]
            assert (row["kind"], row["requests"]) == ("speech", 1)
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
    assert not (tmp_path / "state" / "voice.sqlite3").exists()


def test_two_processes_share_redis(tmp_path: Path, migrated_postgres_url: str, redis_url: str) -> None:
    shared = {"DATABASE_URL": migrated_postgres_url, "REDIS_URL": redis_url, "VOICE_RATE_LIMIT": "50"}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with served(tmp_path / "one", **shared) as one, served(tmp_path / "two", **shared) as two:
        body = {"input": "Kongsi."}
        headers = one.headers(**{"Idempotency-Key": "dua"})
        first = httpx.post(f"{one.url}/v1/audio/speech", json=body, headers=headers)
        second = httpx.post(f"{two.url}/v1/audio/speech", json=body, headers=headers)
        assert (second.status_code, second.content) == (200, first.content)
        left = [int(response.headers["X-RateLimit-Remaining-Requests"]) for response in (first, second)]
        assert left[1] == left[0] - 1
