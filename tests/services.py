"""Temporary servers for tests, on free ports and with separate folders: PostgreSQL, Redis and the service itself."""

from __future__ import annotations

import atexit
import fcntl
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
SHARED_FOLDER = "VOICE_TESTS_SHARED"  # names a folder of files that one worker makes and all share
KEY = "vk_test_0123456789abcdef"
ADMIN_PASSWORD = "rahsia-ujian"
DEMO = {"VOICE_DEMO_API_KEY": KEY, "VOICE_DEMO_ADMIN_PASSWORD": ADMIN_PASSWORD}
PREPARE = """
import django
django.setup()
from django.core.management import call_command
from voiceproject import demo
call_command("migrate", verbosity=0, skip_checks=True)
demo.prepare()
"""
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


class Neighbour:
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
def _started(neighbour: Neighbour) -> Iterator[Neighbour]:
    try:
        neighbour.start()
        yield neighbour
    finally:
        neighbour.stop()


@contextmanager
def postgres_server(folder: Path) -> Iterator[Neighbour]:
    """Run PostgreSQL with an empty database. The log is written to ``folder``."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    initdb = _program("initdb", *newest_first)
    server = _program("postgres", *newest_first)
    # PostgreSQL refuses to run as root.
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    port = lasting_port()
    # Not in ``folder``: pytest's folders are closed to other users, such as the one that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="voice-postgres-") as data:
        if as_user:
            shutil.chown(data, "nobody")
        yield from _initialised(as_user, initdb, server, data, port, folder / "postgres.log")


def _initialised(as_user: list[str], initdb: str, server: str, data: str, port: int, log: Path) -> Iterator[Neighbour]:
    create = [*as_user, initdb, "-D", data, "-U", "voice", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    url = f"postgres://voice@127.0.0.1:{port}/postgres"
    command = [*as_user, server, "-D", data, *flags]
    # SIGINT is PostgreSQL's fast shutdown, which does not wait for clients to disconnect.
    with _started(Neighbour(url, command, port, log, signal.SIGINT)) as neighbour:
        _wait_until_it_answers(url)
        yield neighbour


def _wait_until_it_answers(url: str) -> None:
    """Wait until PostgreSQL accepts logins. It begins to listen before that."""
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
def redis_server(folder: Path, *, is_durable: bool = False) -> Iterator[Neighbour]:
    """Run an empty Redis server.

    ``is_durable``: whether to write every change to disk; otherwise nothing is written.
    """
    port = lasting_port()
    command = [_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    command += ["--appendonly", "yes" if is_durable else "no"]
    with _started(Neighbour(f"redis://127.0.0.1:{port}/0", command, port, folder / "redis.log")) as neighbour:
        yield neighbour


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL; yield the URL of an empty database."""
    with postgres_server(folder) as neighbour:
        yield neighbour.url


def database(server: str, template: str = "template1") -> str:
    """Create a database on a PostgreSQL server, as a copy of ``template``; return its URL."""
    import psycopg

    name = f"voice_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run an empty Redis server that writes nothing to disk; yield its URL."""
    with redis_server(folder) as neighbour:
        yield neighbour.url


@dataclass(frozen=True)
class Served:
    """A running ``manage.py serve --demo``.

    ``url``: its address.
    ``key``: an API key for it.
    ``log``: the file of its output.
    ``process``: its process.
    """

    url: str
    key: str
    log: Path
    process: subprocess.Popen[bytes]

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **more}

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Send the signal ``number`` to the service, and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextmanager
def served(
    folder: Path,
    *arguments: str,
    port: int = 0,
    is_ready: bool = True,
    python: Path | str = sys.executable,
    code: Path = ROOT,
    is_first_start: bool = False,
    **environment: str,
) -> Iterator[Served]:
    """Run the service with its state in ``folder``; yield it when it is ready.

    ``arguments``: additional arguments of ``manage.py serve``.
    ``port``: the port; 0 for a free one.
    ``is_ready``: if false, wait only until the service listens.
    ``python``: the Python interpreter.
    ``code``: the folder that contains ``manage.py``.
    ``is_first_start``: whether the service must create its tables and demo data. Otherwise they already exist.
    ``environment``: additional environment variables.
    """
    port = port or free_port()
    log = folder / "serve.log"
    settings: Mapping[str, str] = {
        "PORT": str(port),
        "VOICE_STATE_DIR": str(folder / "state"),
        **DEMO,
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        **environment,
    }
    makes_its_own = (
        is_first_start or code != ROOT or not environment.keys().isdisjoint(("DATABASE_URL", "VOICE_STATE_DIR"))
    )
    if not makes_its_own and not (folder / "state" / "voice.sqlite3").exists():
        shutil.copytree(state_of_the_demo(), folder / "state", dirs_exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "manage.py", "serve", "--demo", *arguments],
            cwd=code,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for_port(port, process)
            url = f"http://127.0.0.1:{port}"
            if is_ready:
                wait_until_ready(url, process)
            yield Served(url, KEY, log, process)
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace")[-4000:])
            raise
        finally:
            process.terminate()
            process.wait(40)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that ``make`` fills only once for all workers of a test run.

    Outside a test run, the folder is filled once for this process.
    """
    place = _shared_folder() / name
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            draft = Path(tempfile.mkdtemp(dir=place.parent))
            make(draft)
            draft.rename(place)
    return place


@cache
def _shared_folder() -> Path:
    shared = os.environ.get(SHARED_FOLDER)
    if shared is None:  # not a test run but a benchmark
        shared = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, shared, ignore_errors=True)
    return Path(shared)


def state_of_the_demo() -> Path:
    """Return the state folder of a service that has been started once with ``KEY`` and ``ADMIN_PASSWORD``.

    It contains all tables and the demo data. All tests share it, because making it takes longer than starting a
    service.
    """
    return made_once("demo", _make_demo_state)


def _make_demo_state(folder: Path) -> None:
    run_python(folder, "-c", PREPARE)
    (folder / "secret_key").unlink()  # each service has its own


def run_python(state: Path, *arguments: str, **settings: str) -> None:
    """Run Python with the settings of the service and the state folder ``state``."""
    about = {**DEMO, "VOICE_STATE_DIR": str(state), "DATABASE_URL": "", "REDIS_URL": "", **settings}
    environment = {**os.environ, **about, "DJANGO_SETTINGS_MODULE": "voiceproject.settings"}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until ``/readyz`` reports that the service is ready.

    Raise ``RuntimeError`` if the process ends, and ``TimeoutError`` after ``START_TIMEOUT_S``.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}")
        with suppress(httpx.TransportError):  # while it does not listen yet
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise TimeoutError("the service did not become ready")


@dataclass(frozen=True)
class InferenceTier:
    """A running ``manage.py serve_inference``: its address and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def inference_tier(folder: Path, *engines: str, port: int = 0, **environment: str) -> Iterator[InferenceTier]:
    """Run an inference tier with these engines (by default all); yield it when its models are warm."""
    port = port or lasting_port()
    settings = {"PORT": str(port), "VOICE_STATE_DIR": str(folder / "state"), "VOICE_INFERENCE_URL": "", **environment}
    with (folder / f"tier-{port}.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve_inference", *engines],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "voiceproject.settings", **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for_port(port, process)
            wait_until_ready(url, process)
            yield InferenceTier(url, process)
        finally:
            process.kill()
            process.wait(20)
