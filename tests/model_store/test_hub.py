"""Models are installed from a model hub that the tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_store.files import ModelDirectory
from tests.model_store import registry
from tests.services import ROOT

WHOLE = registry.HALVES[0] + registry.HALVES[1]
REVISION = "a" * 40
PINNED = {"ujian/whisper": {"model.bin": WHOLE, "config.json": registry.CONFIG}}
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from model_store.catalogue import Source
from model_store.errors import ModelStoreError
from model_store.install import Installer
from model_store.progress import Progress
from tests.model_store.registry import pinned
model = pinned(Source("hub", repository="ujian/whisper", revision=sys.argv[2]))
if sys.argv[3:] == ["unpinned"]:
    model = replace(model, files=())
try:
    Installer(Path(sys.argv[1]), Progress()).install(model)
except ModelStoreError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def run_installer(models: Path, hub: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installer in another process, because ``huggingface_hub`` reads the hub's address when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(models.parent / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(models), REVISION, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_pinned_files(tmp_path: Path) -> None:
    with registry.hub(PINNED) as url:
        done = run_installer(tmp_path / "models", url)
    assert done.returncode == 0, done.stderr
    directory = tmp_path / "models" / "ujian"
    assert (directory / "model.bin").read_bytes() == WHOLE
    assert ModelDirectory(registry.pinned(), directory).is_usable()


def test_a_file_with_another_hash_than_the_pinned_one(tmp_path: Path) -> None:
    with registry.hub({"ujian/whisper": {"model.bin": b"another", "config.json": registry.CONFIG}}) as url:
        done = run_installer(tmp_path / "models", url)
    assert done.returncode == 4
    assert registry.sha256(b"another") in done.stderr
    assert not (tmp_path / "models" / "ujian").exists()


@pytest.mark.parametrize("files", [{}, {"ujian/whisper": {"config.json": registry.CONFIG}}])
def test_files_that_the_hub_lacks(tmp_path: Path, files: dict[str, dict[str, bytes]]) -> None:
    with registry.hub(files) as url:
        done = run_installer(tmp_path / "models", url)
    assert done.returncode == 3
    assert "ujian/whisper" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_hub(tmp_path: Path) -> None:
    done = run_installer(tmp_path / "models", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_unpinned_files_must_match_the_installed_ones(tmp_path: Path) -> None:
    files = {**PINNED["ujian/whisper"], "tokenizer.json": b"{}", "README.md": b"not wanted"}
    with registry.hub({"ujian/whisper": files}) as url:
        done = run_installer(tmp_path / "models", url, "unpinned")
    assert done.returncode == 0, done.stderr
    directory = tmp_path / "models" / "ujian"
    assert not (directory / "README.md").exists()
    from dataclasses import replace

    installed = ModelDirectory(replace(registry.pinned(), files=()), directory)
    assert installed.is_usable()
    (directory / "tokenizer.json").write_bytes(b"[]")
    (problem,) = installed.verify()
    assert "tokenizer.json" in problem
