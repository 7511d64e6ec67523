"""Run the inference tier on a Ray cluster on this machine, with the same parts as in ``k8s/base``.

The head node runs no replicas, the worker node runs all of them, and a Redis server keeps the state of the head. The
environment variable VOICE_TEST_CLUSTER_PYTHON names a Python that has Ray (``scripts/test_cluster.sh`` makes it).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests import dependencies, services
from tests.dependencies import Dependency, lasting_port

PYTHON = "VOICE_TEST_CLUSTER_PYTHON"  # names the Python of the environment with Ray; the API processes use another one
START_TIMEOUT_S = 120
LOGICAL_CPUS = 8  # few on purpose, because CI has only two cores
OBJECT_STORE_BYTES = 80_000_000


class RayNode:
    """A Ray node with its own session and folder, as on a separate machine: ``ray start`` and all its processes."""

    def __init__(self, folder: Path, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        ray = Path(os.environ[PYTHON]).with_name("ray")
        store = f"--object-store-memory={OBJECT_STORE_BYTES}"
        common = ["--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", store]
        common += [
            "--min-worker-port=0",
            "--max-worker-port=0",
        ]  # any port, because the default range contains the tests' ports
        self._command = [str(ray), "start", *arguments, *common]
        self._environment = environment
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = _short_folder()
        self._folders = [self._folder]

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=services.ROOT,
                env={**self._environment, "RAY_TMPDIR": str(self._folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_elsewhere(self) -> None:
        """Start the node in a new folder, as on another machine."""
        self._folder = _short_folder()
        self._folders.append(self._folder)
        self.start()

    def supervise(self) -> None:
        """Restart the node if it has ended, as KubeRay restarts the container of a head.

        On a busy machine, a node may stop on its own, because its agents must start within 15 s.
        """
        if self.has_ended:
            self.kill()
            self.start()

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """Kill all processes of the node at once, as if its machine had failed."""
        process = self._process
        self._process = None
        if process is not None:
            for pid in [process.pid, *_descendants(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(20)
        # Ray finds the other nodes. So if this file remained, Ray would assume that the cluster named in it still runs.
        (self._folder / "ray" / "ray_current_cluster").unlink(missing_ok=True)

    def remove(self) -> None:
        self.kill()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> Path:
    """Make and return a folder with a short path, because the path of a Unix socket may have at most 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="ray-"))


def _descendants(pid: int) -> list[int]:
    """Return the process ids of all descendants. Ray puts them into several process groups."""
    found: list[int] = []
    with suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


@dataclass(frozen=True)
class RayTier:
    """A running inference tier.

    ``url``: its address.
    ``head``: the head node of the Ray cluster.
    ``redis``: the Redis server that keeps the state of the head.
    """

    url: str
    head: RayNode
    redis: Dependency


@contextmanager
def ray_tier(folder: Path, **settings: str) -> Iterator[RayTier]:
    """Run the inference tier; yield it when it serves requests."""
    port = lasting_port()
    gcs = lasting_port()
    address = f"127.0.0.1:{gcs}"
    with ExitStack() as stack:
        redis = stack.enter_context(dependencies.redis_server(folder, is_durable=True))
        environment = ray_environment(folder, **settings)
        kept = {"RAY_REDIS_ADDRESS": urlsplit(redis.url).netloc}
        head_only = ["--head", f"--port={gcs}", "--num-cpus=0", "--include-dashboard=false"]
        head = RayNode(folder, "head", head_only, environment | kept)
        worker = RayNode(folder, "worker", [f"--address={address}", f"--num-cpus={LOGICAL_CPUS}"], environment)
        for node in (head, worker):
            stack.callback(node.remove)
        head.start()
        _wait_for(gcs)
        worker.start()
        deploy = [os.environ[PYTHON], "-m", "tests.cluster.ray_tier", address, str(port)]
        with (folder / "deploy.log").open("wb") as log:
            subprocess.run(
                deploy,
                cwd=services.ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=240,
            )
        url = f"http://127.0.0.1:{port}"
        wait_until_served(url)
        yield RayTier(url, head, redis)


def ray_environment(folder: Path, **settings: str) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": str(folder),  # Ray stores a token there
        "PYTHONPATH": str(services.ROOT),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_STATE_DIR": str(folder / "state"),
        "VOICE_ASR_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "600",  # as in k8s/base/rayservice.yaml
        **settings,
    }


def wait_until_served(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_ready(url):
        assert time.monotonic() < deadline, "the tier does not serve"
        time.sleep(0.5)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
