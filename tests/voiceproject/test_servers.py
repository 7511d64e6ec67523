"""uvicorn and Daphne pass the same tests: start-up tasks, refusals, and a clean stop."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.services import Served, served
from tests.usage.ledgers import entry_of
from usage.spool import SpooledEntry

LONG = "Selamat pagi semua. Hari ini hujan turun dengan lebat sekali. Kami duduk di rumah sahaja. " * 40
SHORT_TIMES = {"VOICE_HEAD_S": "2", "VOICE_BODY_GRACE_S": "2", "VOICE_TTS_CACHE_BYTES": "0", "VOICE_WS_DRAIN_S": "1"}
PATIENCE_S = 60.0

each_server = pytest.mark.parametrize("server", ["uvicorn", "daphne"], scope="module", indirect=True)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    with served(folder, "--server", request.param, **SHORT_TIMES) as running:
        yield running


def address(server: Served) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def answer_to(server: Served, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send these bytes with pauses between them, and return everything that the server sends.

    Raise ``TimeoutError`` if the server does not close the connection.
    """
    with socket.create_connection(address(server), timeout=PATIENCE_S) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_s)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def upload(size: int) -> bytes:
    return (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size
    )


@each_server
def test_it_works(server: Served) -> None:
    with httpx.Client(base_url=server.url, headers=server.headers(), timeout=PATIENCE_S) as client:
        spoken = client.post("/v1/audio/speech", json={"input": "Selamat pagi.", "response_format": "wav"})
        form = {"model": "whisper-1", "language": "ms"}
        heard = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", spoken.content)}, data=form)
        assert "selamat" in heard.json()["text"].lower()
        assert "server" not in spoken.headers
        assert client.get("/static/favicon.svg").status_code == 200
        assert client.get("/nowhere").status_code == 404


@each_server
def test_it_logs_json(server: Served) -> None:
    httpx.get(f"{server.url}/v1/models", headers=server.headers())
    deadline = time.monotonic() + PATIENCE_S
    requests: list[dict[str, Any]] = []
    while not requests and time.monotonic() < deadline:  # the log line is written after the answer
        lines = [line for line in server.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        requests = [one for one in map(json.loads, lines) if one["message"] == "request"]
    assert requests
    assert all(one["request_id"].startswith("req_") for one in requests)
    assert "Traceback" not in server.log.read_text()


@each_server
def test_heads_are_bounded(server: Served) -> None:
    large = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 4000) for n in range(17))
    for head in (large, b"GET /" + b"y" * 66_000):
        answer = answer_to(server, head)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "headers_too_large"
    slow = answer_to(server, b"GET /healthz HTTP/1.1\r\n", b"Host: x\r\n", pause_s=0.5)
    assert slow.startswith(b"HTTP/1.1 408 ")


@each_server
def test_bodies_are_bounded(server: Served) -> None:
    key = f"Authorization: Bearer {server.key}\r\n".encode()
    large, small = (upload(size).replace(b"Host: x\r\n", b"Host: x\r\n" + key) for size in (100_000_000, 50_000))
    assert b" 413 " in answer_to(server, large).partition(b"\r\n")[0]
    slow = answer_to(server, small, b"x" * 100)
    assert b" 408 " in slow.partition(b"\r\n")[0]
    assert b"request_timeout" in slow


@each_server
def test_bodies_are_not_written_to_disk(server: Served) -> None:
    """Bodies are not written to any file, not even to a deleted file that is still open."""
    key = f"Authorization: Bearer {server.key}\r\n".encode()
    with socket.create_connection(address(server), timeout=PATIENCE_S) as connection:
        connection.sendall(upload(2_000_000).replace(b"Host: x\r\n", b"Host: x\r\n" + key))
        connection.sendall(b"x" * 1_000_000)
        time.sleep(0.5)
        opened = [str(one.readlink()) for one in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    state = str(server.log.parent)
    files = [path for path in opened if path.startswith("/") and not path.startswith((state, "/dev/", "/proc/"))]
    assert not [path for path in files if "(deleted)" in path or path.startswith("/tmp/tmp")]


@each_server
def test_only_trusted_proxies_may_set_the_client_address(server: Served) -> None:
    """Proxies on this machine are trusted, so the service uses the scheme that they report."""
    secure = httpx.get(f"{server.url}/admin/login/", headers={"X-Forwarded-Proto": "https"})
    plain = httpx.get(f"{server.url}/admin/login/")
    assert "strict-transport-security" in secure.headers
    assert "strict-transport-security" not in plain.headers


@each_server
def test_sockets(server: Served) -> None:
    url = server.url.replace("http", "ws")
    with connect(f"{url}/ws/tts", additional_headers=server.headers()) as socket:
        socket.send(json.dumps({"type": "text", "text": "Apa khabar?"}))
        socket.send(json.dumps({"type": "end"}))
        assert sum(len(message) for message in socket if isinstance(message, bytes)) > 5_000
    with pytest.raises(Exception, match=r"403|404"), connect(f"{url}/ws/nowhere", additional_headers=server.headers()):
        pass
    with connect(f"{url}/ws/asr", additional_headers=server.headers()) as socket:
        socket.send(b"x" * 100_000)  # more than VOICE_WS_MAX_BYTES
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(PATIENCE_S)


@pytest.mark.parametrize("name", ["uvicorn", "daphne"])
def test_background_tasks_start_and_shutdown_is_clean(name: str, tmp_path: Path) -> None:
    """At start, the service settles entries that a dead process spooled, without waiting for a request.

    After SIGTERM, downloads finish, streams are told to reconnect, and the process ends with status 0.
    """
    with served(tmp_path, "--server", name, **SHORT_TIMES) as first:
        assert first.stop() == 0
    _leave_spooled(tmp_path / "state")
    with served(tmp_path, "--server", name, **SHORT_TIMES) as server:
        _wait_for_row(tmp_path / "state", "req_spooled")
        sizes: list[int] = []
        began = threading.Event()

        def listen() -> None:
            body = {"input": LONG, "response_format": "wav"}
            url = f"{server.url}/v1/audio/speech"
            with httpx.stream("POST", url, json=body, headers=server.headers(), timeout=PATIENCE_S) as response:
                for chunk in response.iter_raw():
                    sizes.append(len(chunk))
                    began.set()
                    time.sleep(0.002)  # read more slowly than the server sends

        listener = threading.Thread(target=listen)
        with connect(server.url.replace("http", "ws") + "/ws/asr", additional_headers=server.headers()) as socket:
            listener.start()
            assert began.wait(PATIENCE_S)
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    socket.recv(PATIENCE_S)
        assert closed.value.rcvd.code == 4503
        listener.join(PATIENCE_S)
        assert server.process.wait(PATIENCE_S) == 0
        assert "Traceback" not in server.log.read_text()
    assert sum(sizes) > 1_000_000


def _leave_spooled(state: Path) -> None:
    with closing(sqlite3.connect(state / "voice.sqlite3")) as database:
        (client,) = database.execute("select id from voiceproject_clientapplication limit 1").fetchone()
    entry = entry_of(client, request_id="req_spooled")
    spool = state / "spool"
    spool.mkdir(exist_ok=True)
    (spool / "left-behind.jsonl").write_bytes(SpooledEntry(entry, datetime.now(UTC)).as_line())


def _wait_for_row(state: Path, request_id: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    query = "select count(*) from usage_ledgerentry where request_id = ?"
    while True:
        with closing(sqlite3.connect(state / "voice.sqlite3")) as database:
            if database.execute(query, [request_id]).fetchone() == (1,):
                return
        assert time.monotonic() < deadline, "the spool was not settled"
        time.sleep(0.2)
