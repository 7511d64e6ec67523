"""The images' plans, and the service run from nothing but what goes into its image, as the manifests run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import services
from tests.k8s.manifests import API, ROOT, environment, workloads
from tests.k8s.programs import found, listening

PLANS = {name: (ROOT / "docker" / f"{name}.Dockerfile").read_text() for name in ("api", "gpu")}
PATIENCE_S = 120.0
FILL = """
import django; django.setup()
from tests.dashboard.test_every_page import fill_everything
fill_everything()
"""


def instructions(plan: str) -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", plan, flags=re.MULTILINE))
    for line in joined.splitlines():
        if line.strip():
            word, rest = line.split(maxsplit=1)
            yield word.upper(), rest


def sources(plan: str) -> list[str]:
    copies = (rest.split() for word, rest in instructions(plan) if word == "COPY" and not rest.startswith("--from"))
    return [source for copied in copies for source in copied[:-1]]


@pytest.mark.parametrize("name", PLANS)
def test_the_plans_are_sound(name: str) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, ROOT / "docker" / f"{name}.Dockerfile"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", PLANS)
def test_nobody_is_root(name: str) -> None:
    users = [rest for word, rest in instructions(PLANS[name]) if word == "USER"]
    assert users == ["10001:10001"]
    ours = [pod for pod in workloads() if pod.containers[-1]["image"].rsplit("/")[-1].startswith(f"voice-{name}")]
    assert ours
    assert {pod.spec["securityContext"]["runAsUser"] for pod in ours} == {10001}


@pytest.mark.parametrize("name", PLANS)
def test_what_is_copied_is_there_and_let_in(name: str) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in sources(PLANS[name]):
        assert source in let_in
        assert (ROOT / source).exists(), source
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_api_image_is_small() -> None:
    wanted = (ROOT / "requirements.txt").read_text()
    heavy = ("torch", "ray", "coqui-tts", "nvidia-c", "tensorflow", "transformers")
    assert not [line for line in wanted.splitlines() if line.startswith(heavy)]
    assert sources(PLANS["api"])[0] == "requirements.txt"
    assert "cuda" not in " ".join(rest for word, rest in instructions(PLANS["api"]) if word == "FROM")


def test_both_images_have_the_same_code() -> None:
    code = [source for source in sources(PLANS["api"]) if not source.startswith("requirements")]
    assert code == [source for source in sources(PLANS["gpu"]) if not source.startswith("requirements")]


# --- From what goes into the image -----------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    for source in sources(PLANS["api"]):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, folder / source)
    assert ("RUN", "python -m compileall -q /app") in instructions(PLANS["api"])
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> dict[str, str]:
    """The environment of `asr-api`, but for what is elsewhere on this machine."""
    (pod,) = (one for one in workloads() if one.name == "asr-api")
    container = pod.containers[-1]
    here = {
        "DATABASE_URL": _database_of_its_own(postgres_url),
        "REDIS_URL": redis_url,
        "SECRET_KEY": "only-for-this-test",
        "VOICE_STATE_DIR": str(tmp_path_factory.mktemp("state")),
        "PORT": str(services.free_port()),
        "VOICE_HOST": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
    }
    elsewhere = re.compile(r"VOICE_INFERENCE_URL|VOICE_ASR_|VOICE_COQUI_")  # the models run in this process
    settings = {name: value for name, value in environment(container).items() if value and not elsewhere.match(name)}
    kept = {name: os.environ[name] for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ}
    return {**kept, **settings, **here}


def _database_of_its_own(url: str) -> str:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE image")
    return url.rsplit("/", 1)[0] + "/image"


def line_of(name: str, container: int = -1) -> list[str]:
    """What the container runs: its command, or the image's entry point with its arguments."""
    (pod,) = (one for one in workloads() if one.name == name)
    plan = dict(instructions(PLANS["api"]))
    one = pod.containers[container]
    return [*(one.get("command") or json.loads(plan["ENTRYPOINT"])), *one.get("args", [])]


def run(line: list[str], app: Path, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=app, env=told, check=False, capture_output=True, text=True, timeout=PATIENCE_S)


def test_every_page_and_every_command(app: Path, tmp_path: Path) -> None:
    """With something in every table; a command or a page that needs a tool which stays at home would fail."""
    told = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "VOICE_STATE_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_ASR_MODEL": "whisper-ms-demo",
        "VOICE_TTS_MODEL": "espeak-ng",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert run([sys.executable, "manage.py", "migrate"], app, told).returncode == 0
    filled = run([sys.executable, "-c", FILL], ROOT, told)
    assert filled.returncode == 0, filled.stderr
    opened = run([sys.executable, "-c", (ROOT / "tests" / "open_everything.py").read_text()], app, told)
    assert opened.returncode == 0, opened.stderr
    commands, pages = opened.stdout.splitlines()[-2:]
    assert {"serve", "watch_capacity", "statements", "evaluate_asr", "speakable", "models"} <= set(commands.split())
    assert not {"loadtest", "plan_capacity", "seed_demo", "measure_rates"} & set(commands.split())
    assert int(pages) > 60


@pytest.mark.timeout(300)  # nine starts of Django, on machines that do other things too
def test_as_in_the_cluster(app: Path, told: dict[str, str]) -> None:
    before = files(app)
    waiting = line_of("asr-api", 0)
    assert waiting[:2] == ["sh", "-c"]
    check = re.search(r"until (.+?); do", waiting[2])
    assert run(["sh", "-c", check[1]], app, told).returncode != 0, "there are no tables yet"
    migrated = run(line_of("migrate"), app, told)
    assert migrated.returncode == 0, migrated.stderr
    assert run(waiting, app, told).returncode == 0

    for name in ("daily", "statements"):
        done = run(line_of(name), app, told)
        assert done.returncode == 0, done.stderr

    serving = subprocess.Popen(line_of("asr-api"), cwd=app, env=told, stderr=subprocess.PIPE, text=True)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    watching = subprocess.Popen(line_of("capacity-watcher"), cwd=app, env=told, **pipes)
    try:
        assert watching.stdout.readline() == "Watching.\n"
        _probed(told["PORT"], serving)
        health = json.loads(dict(instructions(PLANS["api"]))["HEALTHCHECK"].split("CMD ")[1])
        health[-1] = health[-1].replace("8000", told["PORT"])
        assert run(health, app, told).returncode == 0
    finally:
        for process in (serving, watching):
            process.send_signal(signal.SIGTERM)
        stopped = [process.communicate(timeout=PATIENCE_S)[1] for process in (serving, watching)]
    assert [serving.returncode, watching.returncode] == [0, 0], stopped
    assert files(app) == before, "the root file system is read-only"


def _probed(port: str, serving: subprocess.Popen[str]) -> None:
    """As the kubelet asks: by the pod's address, not by the service's name."""
    (pod,) = (one for one in workloads() if one.name == API[0])
    container, deadline = pod.containers[-1], time.monotonic() + PATIENCE_S
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[name]["httpGet"]["path"]
        while True:
            assert serving.poll() is None, "the service ended"
            try:
                status = httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Host": "10.1.2.3:8000"}).status_code
            except httpx.TransportError:
                status = 0
            if status == 200:
                break
            assert time.monotonic() < deadline, f"{path}: {status}"
            time.sleep(0.1)
    scraped = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": "10.1.2.3:8000"})
    assert "voice_engine_ready" in scraped.text


def test_redis_wants_its_password(tmp_path: Path) -> None:
    """The container's own command line, with its port and folder put elsewhere."""
    found("redis-server")
    port = services.free_port()
    command, flag, script = line_of_redis()
    assert "maxmemory" in script
    here = script.replace("/data", str(tmp_path)) + f" --port {port} --bind 127.0.0.1"
    environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": "rahsia-ujian"}
    with listening([command, flag, here], port, tmp_path / "log", environment) as server:
        ping = [found("redis-cli"), "-p", str(port), "ping"]
        asked = subprocess.run(ping, check=False, capture_output=True, text=True, env=environment)
        assert asked.stdout.strip() == "PONG"
        stranger = subprocess.run(ping, check=False, capture_output=True, text=True, env={"PATH": environment["PATH"]})
        assert "NOAUTH" in stranger.stdout + stranger.stderr
        arguments = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert arguments.startswith("redis-server"), "it is process 1, so it gets the signal to stop"
        assert "rahsia-ujian" not in arguments


def line_of_redis() -> list[str]:
    (pod,) = (one for one in workloads() if one.name == "redis")
    (container,) = pod.containers
    return [*container["command"], *container["args"]]
