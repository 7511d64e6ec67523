"""Throw-away servers for tests: PostgreSQL, Redis, the service itself; free ports, directories of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 90.0  # a machine that does other things too needs most of it


class Missing(Exception):
    """A program that the test needs is not installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str, *folders: Path) -> str:
    for folder in folders:
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed (make test installs it as root)")
    return found


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


@contextmanager
def _running(command: list[str], port: int, log: Path, stop: int = signal.SIGTERM) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _wait_for_port(port, process)
            yield
        finally:
            process.send_signal(stop)
            process.wait(20)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Yields the URL of an empty database."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    initdb, server = _program("initdb", *newest_first), _program("postgres", *newest_first)
    # PostgreSQL refuses to run as root.
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    data, port = folder / "data", free_port()
    data.mkdir()
    if as_user:
        shutil.chown(data, "nobody")
        for parent in (folder, *folder.parents):  # pytest's directories are closed to other users
            if parent.owner() == "root" and parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o011)
    create = [*as_user, initdb, "-D", str(data), "-U", "voice", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
    with _running([*as_user, server, "-D", str(data), *flags], port, folder / "postgres.log", signal.SIGINT):
        yield f"postgres://voice@127.0.0.1:{port}/postgres"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Yields the URL of an empty server that writes nothing to the disk."""
    port = free_port()
    command = [_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with _running(command, port, folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


@dataclass(frozen=True)
class Served:
    """A running `manage.py serve --demo`."""

    url: str
    key: str
    log: Path
    process: subprocess.Popen[bytes]

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **more}

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Send the signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[Served]:
    """Yields the service once it is ready, with its state in ``folder``."""
    port, key, log = free_port(), "vk_test_0123456789abcdef", folder / "serve.log"
    settings: Mapping[str, str] = {
        "PORT": str(port),
        "VOICE_STATE_DIR": str(folder / "state"),
        "VOICE_DEMO_API_KEY": key,
        "VOICE_DEMO_ADMIN_PASSWORD": "rahsia-ujian",
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--demo"],
            cwd=ROOT, env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait_for_port(port, process)
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process)
            yield Served(url, key, log, process)
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace")[-4000:])
            raise
        finally:
            process.terminate()
            process.wait(40)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when ``/readyz`` says so."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}")
        with suppress(httpx.TransportError):  # it does not listen yet
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise TimeoutError("the service did not become ready")
