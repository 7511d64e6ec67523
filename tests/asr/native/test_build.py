"""The native library is compiled by plain Python, and where that is not possible, a sentence says why."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asr.native import build


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the program in ``folder``, without any packages, as in the image's build stage."""
    program = shutil.copy(build.__file__, folder)
    command = [sys.executable, "-I", "-S", program, *arguments]
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def source_of(library: Path) -> str:
    function = ctypes.CDLL(str(library)).text_decoder_source
    function.restype = ctypes.c_char_p
    return function().decode()


def test_it_works(tmp_path: Path, compiler: str) -> None:
    for file in Path(build.FOLDER).glob("*.[ch]"):
        shutil.copy(file, tmp_path)
    done = run(tmp_path, "--strict")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert source_of(tmp_path / build.LIBRARY.name) == build.source_id(build.FOLDER)


def test_several_files_and_headers_make_one_library(tmp_path: Path, library: Path) -> None:
    (tmp_path / "answer.h").write_text("int answer(void);\n")
    (tmp_path / "answer.c").write_text('#include "answer.h"\nint answer(void) { return 42; }\n')
    build.build(tmp_path, tmp_path / "two.so")
    assert ctypes.CDLL(str(tmp_path / "two.so")).answer() == 42
    assert source_of(tmp_path / "two.so") == build.source_id(tmp_path) != source_of(library)
    (tmp_path / "answer.h").write_text("int answer(void); /* changed */\n")
    assert build.source_id(tmp_path) != source_of(tmp_path / "two.so")


def test_the_id_depends_on_the_flags_and_the_names_of_files(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.source_id(source.parent)
    source.rename(source.with_name("renamed.c"))
    renamed = build.source_id(source.parent)
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-g"))
    assert len({before, renamed, build.source_id(source.parent)}) == 3


def test_without_a_compiler_a_sentence_says_what_to_do(tmp_path: Path, source: Path) -> None:
    done = run(tmp_path, PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (
        0,
        "No C compiler was found, so speech recognition takes about twice the processor time: "
        "install gcc and libc6-dev, then run `make native`.\n",
    )
    assert run(tmp_path, "--strict", PATH=str(tmp_path)).returncode == 1


def test_the_message_of_the_compiler_is_shown(tmp_path: Path, library: Path, source: Path) -> None:
    before = library.read_bytes()
    source.write_text("this is not C\n")
    done = run(tmp_path)
    assert done.returncode == 0
    assert "could not compile the native library" in done.stderr
    assert f"{source}:1:1: error:" in done.stderr
    assert run(tmp_path, "--strict").returncode == 1
    assert library.read_bytes() == before
    assert sorted(tmp_path.glob("*.so")) == [library]


@pytest.mark.parametrize(("system", "machine"), [("linux", "aarch64"), ("darwin", "x86_64")])
def test_other_platforms_have_none(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(build.NotBuilt, match="needs Linux on x86-64"):
        build.build(tmp_path, tmp_path / "library.so")


def test_cc_names_the_compiler(tmp_path: Path, source: Path, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "my-cc"
    mine.write_text(f'#!/bin/sh\necho "$1" >{tmp_path}/told\nexec {compiler} "$@"\n')
    mine.chmod(0o755)
    monkeypatch.setenv("CC", f"{mine} -Wall")
    build.build(tmp_path, tmp_path / "library.so")
    assert (tmp_path / "told").read_text() == "-Wall\n"
    monkeypatch.setenv("CC", str(tmp_path / "missing"))
    build.build(tmp_path, tmp_path / "library.so")


def test_a_process_keeps_the_library_that_it_has_loaded(source: Path, library: Path) -> None:
    before = build.source_id(source.parent)
    assert source_of(library) == before
    source.write_text(source.read_text() + "/* changed */\n")
    build.build(source.parent, library)
    assert build.source_id(source.parent).encode() in library.read_bytes()
    assert source_of(library) == before


def test_a_folder_that_cannot_be_written_to(source: Path, compiler: str) -> None:
    with pytest.raises(build.NotBuilt, match="could not compile"):
        build.build(source.parent, source.parent / "missing" / "library.so")
