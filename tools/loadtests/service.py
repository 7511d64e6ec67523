"""The service under test: either a running one, or a temporary one that is started on this machine."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

START_S = 120.0
STOP_S = 40.0
TIMEOUT_S = 15.0
MAX_ASKED = 20  # voice availability is checked for about this many users before the run, at most twice as many

# Settings of a temporary service: a separate database, no alerts, no rate limit, and no cache of finished speech.
# Settings that affect the speed are taken from the environment.
THROW_AWAY = {
    "DATABASE_URL": "",
    "REDIS_URL": "",
    "VOICE_HOST": "127.0.0.1",
    "VOICE_ALERT_EMAILS": "",
    "VOICE_ALERT_WEBHOOKS": "",
    "VOICE_PROBE_URL": "",
    "VOICE_RATE_LIMIT": "0",
    "VOICE_TTS_CACHE_BYTES": "0",
    "VOICE_LOG_LEVEL": "WARNING",
}


class Unusable(Exception):
    """The service cannot be tested. The message says why."""


@dataclass(frozen=True)
class Service:
    """The service under test.

    ``host``: its address, without a path.
    ``key``: an API key for it.
    ``metrics``: the address of its metrics.
    ``process``: its process; None if it was already running.
    """

    host: str
    key: str
    metrics: str
    process: subprocess.Popen[bytes] | None = None


def address(host: str) -> str:
    """Return a service's address without path or trailing slash.

    Raise ``Unusable`` if it is not an http or https address, or if it has a path or a user name.
    """
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
        raise Unusable(f"{host}: an address such as https://voice.example.com is needed")
    return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def throw_away(folder: Path, root: Path, models: Path) -> Iterator[Service]:
    """Start a temporary service with ``manage.py serve --demo``, and yield it when it is ready.

    ``folder``: the folder for the service's state and log.
    ``root``: the folder that contains ``manage.py``.
    ``models``: the folder of the installed models, which the service uses.

    Raise ``Unusable`` if the service does not start.
    """
    port = _free_port()
    key = f"vk_demo_{secrets.token_urlsafe(24)}"
    log = folder / "serve.log"
    (folder / "state").mkdir(mode=0o700)
    environment = {
        **os.environ,
        **THROW_AWAY,
        "PORT": str(port),
        "VOICE_STATE_DIR": str(folder / "state"),
        "VOICE_MODELS_DIR": str(models),
        "VOICE_DEMO_API_KEY": key,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--demo"],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must not reach the service, because it is stopped last
        )
        try:
            host = f"http://127.0.0.1:{port}"
            _wait_until_ready(host, process, log)
            yield Service(host, key, f"{host}/metrics", process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_ready(host: str) -> bool:
    try:
        return httpx.get(f"{host}/readyz", timeout=TIMEOUT_S).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def check(service: Service, user_prefix: str, users: int) -> None:
    """Check that a service is ready, accepts the key, and has voice on for the users of the run.

    ``user_prefix``: the prefix of the users' ids.
    ``users``: the number of users. Only some of them are checked.

    Raise ``Unusable`` if a check fails.
    """
    try:
        ready = httpx.get(f"{service.host}/readyz", timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise Unusable(f"{service.host} cannot be reached: {error or type(error).__name__}") from error
    if ready.status_code != httpx.codes.OK:
        raise Unusable(f"{service.host} is not ready (/readyz answers {ready.status_code})")
    headers = {"Authorization": f"Bearer {service.key}"}
    step = max(1, users // MAX_ASKED)
    with httpx.Client(base_url=service.host, headers=headers, timeout=TIMEOUT_S) as client:
        for number in range(0, users, step):
            _check_availability(client, f"{user_prefix}-{number}")


def _check_availability(client: httpx.Client, user: str) -> None:
    try:
        answer = client.get("/v1/voice/availability", headers={"X-Voice-User": user})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Unusable("the service does not accept the key (401)")
        features = answer.raise_for_status().json()["features"]
        blocked = {name: facts["message"] for name, facts in features.items() if not facts["available"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"/v1/voice/availability: {error or type(error).__name__}") from error
    if blocked:
        reasons = "; ".join(f"{name}: {message}" for name, message in blocked.items())
        raise Unusable(
            f"voice is not available to all users of the test ({reasons}). Enable it for their client application "
            "(admin, flag 'voice': percentages of client applications) and give it a plan that is large enough"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if is_ready(host):
            return
        time.sleep(0.2)
    raise Unusable("the service did not start:\n" + log.read_text(errors="replace")[-2000:])
