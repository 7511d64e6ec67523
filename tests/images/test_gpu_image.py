"""The inference tier and an API process run from exactly the packages and folders of their images.

There is no GPU: Ray is configured with one that does not exist, and the models run on the CPU. They are smaller than
those of the images, and are also installed with ``manage.py models install``. The lock file, the folders and the
settings are those of the images and the manifests.
"""

from __future__ import annotations

import hashlib
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
import pytest
import yaml

from tests.dependencies import START_TIMEOUT_S, free_port
from tests.k8s.images import API_IMAGE, GPU_IMAGE, UV
from tests.k8s.manifests import ROOT, serve_config
from tests.services import served

VENV = ROOT / ".venv-gpu"
MODELS = "whisper-base", "kokoro-82m"  # smaller than the image's models, and enough for this test
SENTENCE = "Selamat pagi semua."
WHISPER = {"model": "whisper-1"}


@pytest.fixture(scope="module")
def venv() -> Path:
    (lock,) = GPU_IMAGE.requirements()
    stamp = VENV / "installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(VENV, ignore_errors=True)
        GPU_IMAGE.install_to(VENV)
        stamp.write_text(wanted)
    return VENV


@pytest.fixture(scope="module")
def image(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root folder of the image, without its packages."""
    root = tmp_path_factory.mktemp("gpu")
    (root / "app").mkdir()
    (root / "state").mkdir()
    GPU_IMAGE.copy_to(root / "app")
    checkpoint = [venv / "bin" / "python", "-m", "tests.coqui.checkpoint", root / "made"]
    subprocess.run(checkpoint, check=True, cwd=ROOT, capture_output=True)
    (root / "models").mkdir()
    (root / "made" / "satu").rename(root / "models" / "coqui")  # as given by ``--build-context models=``
    here = Path(os.environ.get("VOICE_TEST_MODELS") or ROOT / "var" / "models").absolute()
    given = [part for part in ("--from", str(here)) if here.is_dir()]
    told = environment(root, VOICE_STATE_DIR=str(root / "build"))
    installing = [venv / "bin" / "python", "manage.py", "models", "install", *MODELS, *given]
    subprocess.run(installing, check=True, cwd=root / "app", env=told)
    return root


def environment(root: Path, **more: str) -> dict[str, str]:
    """Return the environment variables of the image, with the paths of this machine."""
    places = {
        "/venv": str(VENV),
        "/app": str(root / "app"),
        "/models": str(root / "models"),
        "/state": str(root / "state"),
    }
    told = {"PATH": os.environ["PATH"], "SECRET_KEY": "only-for-this-test"}
    for name, value in GPU_IMAGE.environment().items():
        for place, here in places.items():
            value = value.replace(place, here, 1) if value.startswith(place) else value
        told[name] = value.replace("$PATH", os.environ["PATH"])
    return {**told, **more}


def test_all_packages_have_compatible_versions(venv: Path) -> None:
    checked = subprocess.run([UV, "pip", "check", "--python", venv], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_ctranslate2_finds_cublas(image: Path) -> None:
    """CTranslate2 needs cuBLAS, and finds it only because the image sets the library path."""
    told = environment(image)
    opening = [VENV / "bin" / "python", "-c", "import ctypes; ctypes.CDLL('libcublas.so.12')"]
    subprocess.run(opening, check=True, env=told)
    del told["LD_LIBRARY_PATH"]
    assert subprocess.run(opening, check=False, env=told, capture_output=True).returncode != 0


def test_compose_is_valid() -> None:
    """compose.yaml is valid according to the published schema of Compose."""
    checker = [UV, "tool", "run", "check-jsonschema@0.39.0", "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([*checker, "compose.yaml"], check=True, cwd=ROOT)


def models(image: Path) -> dict[str, str]:
    """Return the settings of ``k8s/site/models.env``, with the models of this test."""
    return {"VOICE_ASR_MODEL": MODELS[0], "VOICE_TTS_MODEL": MODELS[1], "VOICE_COQUI_MODELS": f"{image}/models/coqui"}


@pytest.fixture
def short() -> Iterator[str]:
    """A folder with a short path for Ray's sockets. Their paths may have at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield folder


@contextmanager
def ray_tier(image: Path, tmp_path: Path, short: str) -> Iterator[str]:
    """Start Ray and deploy the manifest's Serve configuration, as KubeRay does; yield the address of the tier."""
    config = serve_config(1)
    port = config["http_options"]["port"] = free_port()
    config["http_options"]["host"] = "127.0.0.1"
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
    told = environment(image, **models(image), RAY_TMPDIR=short)
    start = ["ray", "start", "--head", "--num-cpus=6", "--num-gpus=1", "--object-store-memory=80000000"]
    start += [f"--port={free_port()}", "--node-ip-address=127.0.0.1", "--include-dashboard=false", "--block"]
    running: list[subprocess.Popen[bytes]] = []
    with (tmp_path / "ray.log").open("wb") as log:
        try:
            for command in (start, ["serve", "run", "--address=auto", str(tmp_path / "serve.yaml")]):
                line = [str(VENV / "bin" / command[0]), *command[1:]]
                started = subprocess.Popen(
                    line, cwd=image / "app", env=told, stdout=log, stderr=log, start_new_session=True
                )
                running.append(started)
                _wait_for_cluster(Path(short), started)
            yield _when_ready(f"http://127.0.0.1:{port}", running, tmp_path / "ray.log")
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _wait_for_cluster(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until Ray has written the file from which ``--address=auto`` reads the address."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (folder / "ray" / "ray_current_cluster").exists():
        assert process.poll() is None, "Ray ended"
        assert time.monotonic() < deadline, "Ray did not start"
        time.sleep(0.2)


def _when_ready(url: str, running: list[subprocess.Popen[bytes]], log: Path) -> str:
    deadline = time.monotonic() + 2 * START_TIMEOUT_S
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return url
        assert all(process.poll() is None for process in running), log.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.5)


@pytest.mark.timeout(600)  # starts Ray with real models on a small machine
def test_both_images_together(image: Path, tmp_path: Path, short: str) -> None:
    (tmp_path / "api").mkdir()
    app = tmp_path / "app"
    packages = tmp_path / "venv"
    app.mkdir()
    API_IMAGE.copy_to(app)
    API_IMAGE.install_to(packages)
    with (
        ray_tier(image, tmp_path, short) as tier,
        served(
            tmp_path / "api",
            python=packages / "bin" / "python",
            code=app,
            VOICE_INFERENCE_URL=tier,
            VOICE_MODELS_DIR=str(tmp_path / "none"),
            **models(image),
        ) as api,
        httpx.Client(base_url=f"{api.url}/v1", headers=api.headers(), timeout=120) as client,
    ):
        spoken = client.post("/audio/speech", json={"input": SENTENCE, "response_format": "wav"})
        assert spoken.status_code == 200, spoken.text
        heard = client.post("/audio/transcriptions", files={"file": ("a.wav", spoken.content)}, data=WHISPER)
        assert heard.status_code == 200, heard.text
        assert "pagi" in heard.json()["text"].lower()
        hummed = client.post("/audio/speech", json={"input": SENTENCE, "model": "coqui/coqui"})
        assert hummed.status_code == 200, hummed.text
