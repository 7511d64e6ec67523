"""Start the service itself for a test, on a free port and with a separate state folder."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import ssl
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

from tests.dependencies import START_TIMEOUT_S, _wait_for_port, free_port, lasting_port

ROOT = Path(__file__).resolve().parent.parent
SHARED_FOLDER = "VOICE_TESTS_SHARED"  # names a folder of files that one worker makes and all share
KEY = "vk_test_0123456789abcdef"
ADMIN_PASSWORD = "rahsia-ujian"
REAL_SETTINGS = "voiceproject.settings"
FAST_SETTINGS = "tests.service_settings"
DEMO = {"VOICE_DEMO_API_KEY": KEY, "VOICE_DEMO_ADMIN_PASSWORD": ADMIN_PASSWORD}
PREPARE = """
import django
django.setup()
from django.core.management import call_command
from voiceproject import demo
call_command("migrate", verbosity=0, skip_checks=True)
demo.prepare()
"""


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
    ``is_first_start``: whether the service must create its tables and demo data, with its real settings. Otherwise
    passwords are hashed fast, and the tables and data already exist, unless other arguments name another database,
    state folder or ``code``.
    ``environment``: additional environment variables.
    """
    port = port or free_port()
    log = folder / "serve.log"
    settings: Mapping[str, str] = {
        "PORT": str(port),
        "VOICE_STATE_DIR": str(folder / "state"),
        **DEMO,
        "DJANGO_SETTINGS_MODULE": REAL_SETTINGS if is_first_start or code != ROOT else FAST_SETTINGS,
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
    """Run Python with the settings of a test's service and with its state in ``state``."""
    about = {**DEMO, "VOICE_STATE_DIR": str(state), "DATABASE_URL": "", "REDIS_URL": "", **settings}
    environment = {**os.environ, **about, "DJANGO_SETTINGS_MODULE": FAST_SETTINGS}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until ``/readyz`` reports that the service is ready.

    Raise ``RuntimeError`` if the process ends, and ``TimeoutError`` after ``START_TIMEOUT_S``.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    with httpx.Client(base_url=url, verify=tls_context()) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"the service ended with {process.returncode}")
            with suppress(httpx.TransportError):  # while it does not listen yet
                if client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    raise TimeoutError("the service did not become ready")


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings that the tests' HTTP clients share.

    Otherwise each client reads all root certificates again, which takes 30 ms.
    """
    return httpx.create_ssl_context()


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
            env={**os.environ, "DJANGO_SETTINGS_MODULE": REAL_SETTINGS, **settings},
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
