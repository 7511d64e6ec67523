"""Check the files in model directories.

Each directory has a stamp file, ``installed.json``. It contains the hash, size and modification time that each file had
when its hash was last checked. When the service starts, it does not hash a file again whose size and time have not
changed. So it starts quickly.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_store.catalogue import Model, ModelFile
from model_store.errors import WrongHash

STAMP = "installed.json"
CHUNK_BYTES = 1 << 20


def sha256_of(path: Path, on_chunk: Callable[[int], None] = lambda size: None) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    ``on_chunk``: called with the number of bytes of each chunk after it has been read, to show progress.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            on_chunk(len(chunk))
    return digest.hexdigest()


@dataclass(frozen=True)
class CheckedFile:
    """The state of a file when its hash was checked.

    ``sha256``: SHA-256 of the file in hexadecimal.
    ``bytes``: size of the file in bytes.
    ``changed_s``: modification time in whole seconds, because container images and archives do not store fractions.
    """

    sha256: str
    bytes: int
    changed_s: int

    @classmethod
    def of(cls, path: Path, sha256: str) -> CheckedFile:
        status = path.stat()
        return cls(sha256, status.st_size, int(status.st_mtime))


class ModelDirectory:
    """The directory of one model of the catalogue. It need not exist, or may be incomplete."""

    def __init__(self, model: Model, path: Path) -> None:
        self.model = model
        self.path = path

    def is_usable(self) -> bool:
        """Return True if all required files are present and have the right hashes.

        A file is hashed only if the stamp file does not contain its present size and modification time. If the
        catalogue does not contain the model's hashes, the files that the stamp file lists must be unchanged.
        """
        stamps = self._stamps()
        if not self.model.pinned:
            return bool(stamps) and all(self._is_unchanged(path, stamp) for path, stamp in stamps.items())
        wanted = self.model.required
        if not all(self._size_of(file.path) == file.bytes for file in wanted):
            return False
        unknown = [file for file in wanted if not self._matches_stamp(stamps.get(file.path), file)]
        if unknown:
            fresh = {}
            for file in unknown:
                sha256 = sha256_of(self.path / file.path)
                if sha256 != file.sha256:
                    return False
                fresh[file.path] = CheckedFile.of(self.path / file.path, sha256)
            with suppress(OSError):  # if the directory is read-only, the files are hashed at every start
                self.write_stamp({**stamps, **fresh})
        return True

    def verify(self, on_chunk: Callable[[int], None] = lambda size: None) -> list[str]:
        """Hash all files that are present, and return a message about each wrong or missing file.

        A missing optional file is not a problem.

        ``on_chunk``: called with the number of bytes of each chunk after it has been read, to show progress.
        """
        if self.model.pinned:
            wanted = {
                file.path: file.sha256 for file in self.model.files if not file.optional or self._size_of(file.path)
            }
        else:
            wanted = {path: stamp.sha256 for path, stamp in self._stamps().items()}
        problems = []
        for path, expected in wanted.items():
            if self._size_of(path) is None:
                problems.append(f"{self.path / path} is missing")
            elif (actual := sha256_of(self.path / path, on_chunk)) != expected:
                problems.append(str(WrongHash(path, expected, actual, f"in {self.path}")))
        return problems

    def is_intact(self, file: ModelFile) -> bool:
        """Return True if this file is present and has the hash that the catalogue states."""
        if self._size_of(file.path) != file.bytes:
            return False
        return (
            self._matches_stamp(self._stamps().get(file.path), file) or sha256_of(self.path / file.path) == file.sha256
        )

    def write_stamp(self, stamps: Mapping[str, CheckedFile]) -> None:
        """Write the stamp file. An existing stamp file is replaced atomically.

        ``stamps``: state of each file, by its path.
        """
        draft = self.path / f".{STAMP}.{os.getpid()}"
        text = json.dumps({path: stamp.__dict__ for path, stamp in sorted(stamps.items())}, indent=1)
        draft.write_text(text, "utf-8")
        draft.replace(self.path / STAMP)

    def stamp(self, paths: Iterable[str], hashes: Mapping[str, str]) -> None:
        """Write the stamp file for files that have just been hashed.

        ``paths``: paths of the files, relative to the directory.
        ``hashes``: SHA-256 of each file, by its path.
        """
        self.write_stamp({path: CheckedFile.of(self.path / path, hashes[path]) for path in paths})

    def _matches_stamp(self, stamp: CheckedFile | None, file: ModelFile) -> bool:
        return stamp is not None and stamp.sha256 == file.sha256 and self._is_unchanged(file.path, stamp)

    def _is_unchanged(self, path: str, stamp: CheckedFile) -> bool:
        with suppress(OSError):
            return CheckedFile.of(self.path / path, stamp.sha256) == stamp
        return False

    def _size_of(self, path: str) -> int | None:
        try:
            return (self.path / path).stat().st_size
        except OSError:
            return None

    def _stamps(self) -> dict[str, CheckedFile]:
        try:
            entries: dict[str, dict[str, Any]] = json.loads((self.path / STAMP).read_text("utf-8"))
            return {path: CheckedFile(**entry) for path, entry in entries.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
