"""The native library is used only if it suits this processor and the present source."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from asr.native import build
from asr.native.library import REQUIRED_FLAGS, _found, examine, find
from inference import processor
from tests.services import ROOT


@pytest.fixture(autouse=True)
def cpu_info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The description of a processor that has the instructions, with nothing found yet."""
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags : fpu {' '.join(REQUIRED_FLAGS)}\n")
    monkeypatch.setattr(processor, "CPU_INFO", path)
    _found.cache_clear()
    yield path
    _found.cache_clear()


def test_it_works(library: Path, source: Path) -> None:
    found = examine(library, source.parent)
    assert (found.path, found.reason, str(found)) == (library, "", str(library))


def test_this_repository_has_a_usable_library(native_library: Path) -> None:
    assert find().path == native_library == build.LIBRARY


def test_a_library_of_another_version_is_not_used(library: Path, source: Path) -> None:
    source.write_text(source.read_text() + "/* changed */\n")
    found = examine(library, source.parent)
    assert found.path is None
    assert found.reason == f"{library} was built from another version of its source: run `make native`."


def test_a_library_that_does_not_say_its_version_is_not_used(library: Path, source: Path, compiler: str) -> None:
    source.write_text("int something_else;\n")
    subprocess.run([compiler, "-shared", "-o", library, source], check=True)
    assert "another version" in examine(library, source.parent).reason


def test_a_damaged_library_is_not_used(tmp_path: Path, source: Path) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"\x7fELF and nothing else")
    assert examine(damaged, source.parent).reason.startswith(f"{damaged} cannot be loaded (")


def test_a_missing_library(tmp_path: Path, source: Path) -> None:
    missing = tmp_path / "missing.so"
    assert str(examine(missing, source.parent)) == f"{missing} is missing: run `make native`."


def test_missing_instructions_are_named(library: Path, source: Path, cpu_info: Path) -> None:
    cpu_info.write_text(f"flags : fpu {' '.join(REQUIRED_FLAGS - {'avx512_vnni', 'avx512bw'})}\n")
    assert examine(library, source.parent).reason == "The native library needs a CPU with avx512_vnni, avx512bw."


def test_another_platform(library: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert examine(library, source.parent).reason == "The native library needs Linux on x86-64."


def test_the_setting_switches_it_off(settings: Settings) -> None:
    settings.VOICE_ASR_NATIVE = "off"
    assert find().path is None
    assert "VOICE_ASR_NATIVE=off" in find().reason


def test_the_processor_is_examined_only_once(cpu_info: Path) -> None:
    first = find()
    cpu_info.write_text("flags : fpu\n")
    assert find() is first


def test_git_ignores_the_library() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", build.LIBRARY], cwd=ROOT, check=False)
    assert ignored.returncode in (0, 128), "128: this is not a git repository"
