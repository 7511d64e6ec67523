"""Temporary servers on which the service depends, each on a free port: PostgreSQL and Redis."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_TIMEOUT_S = 90.0  # a busy machine may need most of this


class Missing(Exception):
    """A program that the test needs is not installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lasting_port() -> int:
    """Return a free port outside the range of ephemeral ports.

    No outgoing connection can take such a port while a server restarts.
    """
    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


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


class Dependency:
    """A server that the service depends on, which a test can stop and start again.

    ``url``: the address of the server.
    """

    def __init__(
        self,
        url: str,
        command: list[str],
        port: int,
        log: Path,
        stop: int = signal.SIGTERM,
    ) -> None:
        self.url = url
        self._command = command
        self._port = port
        self._log = log
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        _wait_for_port(self._port, self._process)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend the server's processes within this context.

        The suspended server still accepts connections, but does not respond.
        """
        assert self._process is not None
        whole = [self._process.pid, *_children(self._process.pid)]
        for pid in whole:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in whole:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def stop(self, number: int | None = None) -> None:
        process = self._process
        self._process = None
        if process is not None:
            process.send_signal(number or self._stop)
            process.wait(20)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def _started(dependency: Dependency) -> Iterator[Dependency]:
    try:
        dependency.start()
        yield dependency
    finally:
        dependency.stop()


@contextmanager
def postgres_server(folder: Path) -> Iterator[Dependency]:
    """Run PostgreSQL with an empty database; yield the server. The log is written to ``folder``."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    initdb = _program("initdb", *newest_first)
    server = _program("postgres", *newest_first)
    # PostgreSQL refuses to run as root.
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    port = lasting_port()
    # Not in ``folder``: other users, such as the one that PostgreSQL runs as, may not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="voice-postgres-") as data:
        if as_user:
            shutil.chown(data, "nobody")
        yield from _initialised(as_user, initdb, server, data, port, folder / "postgres.log")


def _initialised(as_user: list[str], initdb: str, server: str, data: str, port: int, log: Path) -> Iterator[Dependency]:
    create = [*as_user, initdb, "-D", data, "-U", "voice", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    url = f"postgres://voice@127.0.0.1:{port}/postgres"
    command = [*as_user, server, "-D", data, *flags]
    # SIGINT is PostgreSQL's fast shutdown, which does not wait for clients to disconnect.
    with _started(Dependency(url, command, port, log, signal.SIGINT)) as dependency:
        _wait_until_it_answers(url)
        yield dependency


def _wait_until_it_answers(url: str) -> None:
    """Wait until PostgreSQL accepts logins, which is some time after it begins to listen."""
    import psycopg

    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def redis_server(folder: Path, *, is_durable: bool = False) -> Iterator[Dependency]:
    """Run an empty Redis server; yield it.

    ``is_durable``: whether to write every change to disk; otherwise nothing is written.
    """
    port = lasting_port()
    command = [_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    command += ["--appendonly", "yes" if is_durable else "no"]
    with _started(Dependency(f"redis://127.0.0.1:{port}/0", command, port, folder / "redis.log")) as dependency:
        yield dependency


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL; yield the URL of an empty database."""
    with postgres_server(folder) as dependency:
        yield dependency.url


def database(server: str, template: str = "template1") -> str:
    """Create a database on the PostgreSQL server at the URL ``server``, as a copy of ``template``; return its URL."""
    import psycopg

    name = f"voice_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run an empty Redis server that writes nothing to disk; yield its URL."""
    with redis_server(folder) as dependency:
        yield dependency.url
