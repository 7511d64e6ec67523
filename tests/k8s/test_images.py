"""The Dockerfiles are consistent, and the service runs from only the files of its image, as in the manifests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from asr.native.build import LIBRARY
from model_store.catalogue import catalogue
from tests import dependencies
from tests.k8s.images import API_IMAGE, IMAGES, PLATFORM, UV, Image
from tests.k8s.manifests import API, ROOT, environment, workloads
from tests.k8s.programs import found, listening
from voiceproject import VERSION

PATIENCE_S = 120.0
FILL = """
import django; django.setup()
from tests.dashboard.test_every_page import fill_everything
fill_everything()
"""
OPEN = """
from core.models import ApiKey, ClientApplication
from rollout.models import Flag
Flag.objects.update(everyone=True)
print(ApiKey.issue(ClientApplication.objects.create(name="chat"))[1])
"""

each_image = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)


@each_image
def test_the_dockerfiles_are_valid(image: Image) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, image.plan], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@each_image
def test_no_image_runs_as_root(image: Image) -> None:
    assert image.all_of("USER") == ["10001:10001"]
    name = f"voice-{image.name}"
    ours = [pod for pod in workloads() if pod.containers[-1]["image"].rsplit("/")[-1].startswith(name)]
    assert ours
    assert {pod.spec["securityContext"]["runAsUser"] for pod in ours} == {10001}


@each_image
def test_copied_files_exist_and_are_not_ignored(image: Image) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in image.sources():
        assert source.split("/")[0] in let_in
        assert (ROOT / source).exists(), source
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_api_image_is_small() -> None:
    wanted = (ROOT / "requirements.txt").read_text()
    heavy = ("torch", "ray", "coqui-tts", "nvidia-c", "tensorflow", "transformers")
    assert not [line for line in wanted.splitlines() if line.startswith(heavy)]
    assert API_IMAGE.requirements() == [ROOT / "requirements.txt"]


def test_both_images_have_the_same_code_and_the_same_base() -> None:
    api, gpu = ({*image.code()} for image in IMAGES)
    assert api == gpu
    (base,) = {base for image in IMAGES for base in image.bases()}
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base), "pinned by its digest"


@each_image
def test_no_image_has_a_compiler(image: Image) -> None:
    assert not [rest for word, rest in image.final_stage() if word == "RUN" and "gcc" in rest]


def test_a_library_compiled_on_this_machine_is_not_copied_into_an_image() -> None:
    """It could be from another version of the source."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert str(LIBRARY.relative_to(ROOT).with_stem("*")) in ignored


@each_image
def test_installed_packages_are_locked_and_compatible(image: Image) -> None:
    """The locked versions are compatible with each other and with the image's Python, and no package is missing."""
    (file,) = image.requirements()
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[A-Za-z0-9_.\[\],-]+==\S+", line) for line in lines)
    options = ["--python-version", image.python(), "--python-platform", PLATFORM, "--no-annotate", "--no-header"]
    resolved = subprocess.run(
        [UV, "pip", "compile", "--quiet", *options, file], check=False, capture_output=True, text=True
    )
    assert resolved.returncode == 0, resolved.stderr
    assert {_version(line) for line in resolved.stdout.splitlines()} == {_version(line) for line in lines}


def _version(line: str) -> str:
    """Return a requirement as ``name==version``, without extras and markers."""
    return re.sub(r"\[.*?\]", "", line.split(" ")[0].split(";")[0]).lower()


def test_shared_packages_have_the_same_version_in_both_images() -> None:
    """Units are packed by a program in one image and unpacked by a program in the other."""
    api, gpu = (dict(line.split("==") for line in _lock(image)) for image in IMAGES)
    assert {name: gpu[name] for name in api} == api


def _lock(image: Image) -> list[str]:
    (file,) = image.requirements()
    return [_version(line) for line in file.read_text().splitlines() if "==" in line]


@each_image
def test_models_of_the_images_are_in_the_catalogue(image: Image) -> None:
    (default,) = (rest.partition("=")[2].strip('"') for rest in image.all_of("ARG") if rest.startswith("MODELS="))
    assert all(catalogue().find(name) for name in default.split())
    (line,) = (rest for rest in image.all_of("RUN") if "models install" in rest)
    assert f"VOICE_MODELS_DIR={image.environment()['VOICE_MODELS_DIR']}" in line


# --- Run from the image's files --------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    API_IMAGE.copy_to(folder)
    assert "python -m compileall -q /app" in API_IMAGE.all_of("RUN")
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def venv(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the image's Python and only the packages that the image installs."""
    folder = tmp_path_factory.mktemp("packages") / "venv"
    API_IMAGE.install_to(folder)
    # Unlike pip, uv does not compile the packages. Each start would compile them again, because it may not write files.
    loaded = "import voiceproject.asgi, voiceproject.urls, voiceproject.management.commands.serve"
    told = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "VOICE_STATE_DIR": str(tmp_path_factory.mktemp("compiling")),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
    }
    compiled = run([str(folder / "bin" / "python"), "manage.py", "shell", "--no-imports", "-c", loaded], app, told)
    assert compiled.returncode == 0, compiled.stderr
    return folder


@pytest.fixture
def told(venv: Path, tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> dict[str, str]:
    """The environment variables of ``asr-api``, with addresses and paths of this machine.

    ``VOICE_INFERENCE_URL``, ``VOICE_ASR_*`` and ``VOICE_COQUI_*`` are left out, so that the models run in this process.
    """
    (pod,) = (one for one in workloads() if one.name == "asr-api")
    container = pod.containers[-1]
    here = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "only-for-this-test",
        "VOICE_STATE_DIR": str(tmp_path_factory.mktemp("state")),
        "PORT": str(dependencies.free_port()),
        "VOICE_HOST": "127.0.0.1",
        "PATH": f"{venv}/bin:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
    }
    elsewhere = re.compile(r"VOICE_INFERENCE_URL|VOICE_ASR_|VOICE_COQUI_")
    settings = {name: value for name, value in environment(container).items() if value and not elsewhere.match(name)}
    kept = {name: os.environ[name] for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ}
    return {**kept, **API_IMAGE.environment(), **settings, **here}


def line_of(name: str, container: int = -1) -> list[str]:
    """Return the command line of a container.

    This is the container's own command if there is one, otherwise the image's entry point, with the arguments.
    """
    (pod,) = (one for one in workloads() if one.name == name)
    one = pod.containers[container]
    (entry,) = API_IMAGE.all_of("ENTRYPOINT")
    return [*(one.get("command") or json.loads(entry)), *one.get("args", [])]


def run(line: list[str], app: Path, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=app, env=told, check=False, capture_output=True, text=True, timeout=PATIENCE_S)


def test_every_page_and_every_command_works_from_the_copied_folders(app: Path, venv: Path, tmp_path: Path) -> None:
    """Every page and command works with rows in every table. One that imported a developer tool would fail."""
    told = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "VOICE_STATE_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "VOICE_ASR_MODEL": "whisper-ms-demo",
        "VOICE_TTS_MODEL": "espeak-ng",
    }
    python = str(venv / "bin" / "python")
    assert run([python, "manage.py", "migrate"], app, told).returncode == 0
    filled = run([sys.executable, "-c", FILL], ROOT, told)
    assert filled.returncode == 0, filled.stderr
    opened = run([python, "-c", (ROOT / "tests" / "open_everything.py").read_text()], app, told)
    assert opened.returncode == 0, opened.stderr
    commands, pages = opened.stdout.splitlines()[-2:]
    assert {"serve", "watch_capacity", "statements", "evaluate_asr", "speakable", "models"} <= set(commands.split())
    assert not {"loadtest", "plan_capacity", "seed_demo", "measure_rates"} & set(commands.split())
    assert int(pages) > 60
    tool = run([python, "manage.py", "loadtest", "baseline"], app, told)
    assert (tool.returncode, tool.stderr.count("\n")) == (1, 1)
    assert "a tool of the repository" in tool.stderr


def test_the_native_text_decoder_is_in_the_image(app: Path, venv: Path, tmp_path: Path, native_library: Path) -> None:
    script = "from asr.native.library import find; print(find())"
    told = {"VOICE_STATE_DIR": str(tmp_path)}
    found = run([str(venv / "bin" / "python"), "manage.py", "shell", "--no-imports", "-c", script], app, told)
    assert found.stdout.strip() == str(app / native_library.relative_to(ROOT)), found.stderr


@pytest.mark.timeout(300)  # nine starts of Django, possibly on a busy machine
def test_the_service_runs_as_in_the_cluster(app: Path, told: dict[str, str]) -> None:
    before = files(app)
    waiting = line_of("asr-api", 0)
    assert waiting[:2] == ["sh", "-c"]
    check = re.search(r"until (.+?); do", waiting[2])
    assert run(["sh", "-c", check[1]], app, told).returncode != 0, "there are no tables yet"
    migrated = run(line_of("migrate"), app, told)
    assert migrated.returncode == 0, migrated.stderr
    assert run(waiting, app, told).returncode == 0

    for name in ("daily", "statements", "weekly-summary"):
        done = run(line_of(name), app, told)
        assert done.returncode == 0, done.stderr

    opened = run(["python", "manage.py", "shell", "--verbosity", "0", "--command", OPEN], app, told)
    assert opened.returncode == 0, opened.stderr

    serving = subprocess.Popen(line_of("asr-api"), cwd=app, env=told, stderr=subprocess.PIPE, text=True)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    watching = subprocess.Popen(line_of("capacity-watcher"), cwd=app, env=told, **pipes)
    try:
        assert watching.stdout.readline() == "Watching.\n"
        _probed(told["PORT"], serving)
        (checking,) = API_IMAGE.all_of("HEALTHCHECK")
        health = json.loads(checking.split("CMD ")[1])
        health[-1] = health[-1].replace("8000", told["PORT"])
        assert run(health, app, told).returncode == 0
        _used(told["PORT"], opened.stdout.split()[-1])
    finally:
        for process in (serving, watching):
            process.send_signal(signal.SIGTERM)
        stopped = [process.communicate(timeout=PATIENCE_S)[1] for process in (serving, watching)]
    assert [serving.returncode, watching.returncode] == [0, 0], stopped
    assert files(app) == before, "the root file system is read-only"


def _probed(port: str, serving: subprocess.Popen[str]) -> None:
    """Probe the service as the kubelet does: with the pod's address instead of the service's name as the host."""
    (pod,) = (one for one in workloads() if one.name == API[0])
    container = pod.containers[-1]
    deadline = time.monotonic() + PATIENCE_S
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


def _used(port: str, key: str) -> None:
    """Let the service speak a sentence, and transcribe the audio."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1/audio", headers=headers, timeout=PATIENCE_S) as client:
        speech = client.post("/speech", json={"input": "Selamat pagi semua.", "response_format": "wav"})
        assert speech.status_code == 200, speech.text
        heard = client.post("/transcriptions", files={"file": ("a.wav", speech.content)}, data={"model": "whisper-1"})
    assert heard.status_code == 200, heard.text
    assert "selamat pagi" in heard.json()["text"].lower()


def test_redis_requires_its_password(tmp_path: Path) -> None:
    """The test runs the container's own command line, with another port and folder."""
    found("redis-server")
    port = dependencies.free_port()
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


def test_the_list_of_an_images_components(tmp_path: Path) -> None:
    """The CycloneDX file names the project, its version, and every locked package."""
    # The validation, which `make sbom` does, takes eight of nine seconds.
    done = subprocess.run(
        ["scripts/sbom.sh", tmp_path, "--no-validate"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for image in IMAGES:
        written = json.loads((tmp_path / f"voice-{image.name}-{VERSION}.cdx.json").read_text())
        about = written["metadata"]["component"]
        assert (written["bomFormat"], about["name"], about["version"]) == ("CycloneDX", f"voice-{image.name}", VERSION)
        listed = {f"{one['name']}=={one['version']}".lower() for one in written["components"]}
        assert listed == set(_lock(image))
