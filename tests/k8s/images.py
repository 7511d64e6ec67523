"""Build the file tree of an image without a container runtime, by reading its Dockerfile."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.k8s.manifests import ROOT

UV = str(Path(sys.executable).parent / "uv")
PLATFORM = "x86_64-manylinux_2_28"


@dataclass(frozen=True)
class Image:
    name: str

    @property
    def plan(self) -> Path:
        return ROOT / "docker" / f"{self.name}.Dockerfile"

    def instructions(self) -> Iterator[tuple[str, str]]:
        text = re.sub(r"^\s*#.*\n", "", self.plan.read_text(), flags=re.MULTILINE)
        for line in re.sub(r"\\\n", " ", text).splitlines():
            if line.strip():
                word, rest = line.split(maxsplit=1)
                yield word.upper(), rest

    def all_of(self, instruction: str) -> list[str]:
        return [rest for word, rest in self.instructions() if word == instruction]

    def sources(self) -> list[str]:
        """Return the paths that any stage copies from the repository."""
        return _sources(self.instructions())

    def code(self) -> list[str]:
        """Return the paths that the image itself copies from the repository to ``/app``."""
        return _sources(self.final_stage())

    def final_stage(self) -> list[tuple[str, str]]:
        """Return the instructions of the stage that becomes the image. The earlier stages only prepare files for it."""
        instructions = list(self.instructions())
        (*_, start) = (place for place, (word, _rest) in enumerate(instructions) if word == "FROM")
        return instructions[start:]

    def bases(self) -> list[str]:
        return [rest.split()[0] for rest in self.all_of("FROM") if not rest.startswith("scratch")]

    def python(self) -> str:
        """Return the version of Python in the image, such as 3.11."""
        versions = {re.match(r"python:(\d+\.\d+)\.\d+-", base) for base in self.bases()}
        (found,) = {match[1] for match in versions if match}
        return found

    def requirements(self) -> list[Path]:
        """Return the requirements files from which pip installs packages."""
        (line,) = (rest for rest in self.all_of("RUN") if "/pip install" in rest)
        return [ROOT / name.lstrip("/") for name in re.findall(r"-r (\S+)", line)]

    def environment(self) -> dict[str, str]:
        told: dict[str, str] = {}
        for rest in self.all_of("ENV"):
            told |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        return told

    def copy_to(self, folder: Path) -> None:
        """Copy the contents of the image's ``/app`` to a folder."""
        for source in self.code():
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
            else:
                shutil.copy(ROOT / source, folder / source)
        if ("COPY", "--from=native /native asr/native") in self.final_stage():
            self._compile(folder / "asr" / "native")

    def _compile(self, native: Path) -> None:
        """Compile the native library as the stage ``native`` does. Without a compiler, nothing happens."""
        (command,) = (rest for rest in self.all_of("RUN") if "/native/build.py" in rest)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        here = command.replace("/native/", f"{native}/")
        subprocess.run(["sh", "-c", here], check=False, capture_output=True, env={"PATH": path})

    def install_to(self, venv: Path) -> None:
        """Create the environment ``venv`` with the image's version of Python and its packages.

        This uses uv, because pip takes a minute.
        """
        files = [part for file in self.requirements() for part in ("-r", str(file))]
        here = ["--python", str(venv)]
        for command in (["venv", "--python", self.python(), str(venv)], ["pip", "install", *here, *files]):
            done = subprocess.run([UV, *command, "--quiet"], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def _sources(instructions: Iterable[tuple[str, str]]) -> list[str]:
    copies = [rest.split() for word, rest in instructions if word == "COPY" and not rest.startswith("--from")]
    return [source for copied in copies for source in copied[:-1]]


IMAGES = [Image("api"), Image("gpu")]
API_IMAGE, GPU_IMAGE = IMAGES
