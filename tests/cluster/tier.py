"""A Ray of this machine's own with the inference tier on it, in a session of its own. VOICE_TEST_CLUSTER_PYTHON is the
Python that has Ray (`scripts/test_cluster.sh` makes it)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests import services
from tests.services import lasting_port

PYTHON = "VOICE_TEST_CLUSTER_PYTHON"  # of the environment that has Ray; the API processes run without it
START_TIMEOUT_S = 120


@contextmanager
def ray_tier(folder: Path, **settings: str) -> Iterator[str]:
    """Yields the address of the inference tier."""
    port = lasting_port()
    url = f"http://127.0.0.1:{port}"
    environment = ray_environment(folder, **settings)
    command = [os.environ[PYTHON], "-m", "tests.cluster.ray_tier", str(port)]
    with (folder / "ray.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=services.ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until_served(url, process, folder / "ray.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            with_group(process, signal.SIGKILL)
            shutil.rmtree(environment["RAY_TMPDIR"], ignore_errors=True)


def ray_environment(folder: Path, **settings: str) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": str(folder),  # Ray keeps a token there
        "PYTHONPATH": str(services.ROOT),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_STATE_DIR": str(folder / "state"),
        "VOICE_ASR_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_TMPDIR": tempfile.mkdtemp(prefix="ray-"),  # a short path: sockets lie in it
        **settings,
    }


def wait_until_served(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_ready(url):
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.5)


def with_group(process: subprocess.Popen[bytes], number: int) -> None:
    """What Ray started belongs to its session; nothing else does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
