"""Errors about model files. Each message is a single line to show to the user of ``manage.py models``."""

from __future__ import annotations

import errno
from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ModelStoreError(Exception):
    """Base class of the errors about model files.

    ``exit_code``: exit status with which ``manage.py models`` ends.
    """

    exit_code = 1


class UnknownModel(ModelStoreError):
    """Raised when the catalogue has no model with the given name."""

    exit_code = 2


class FilesUnavailable(ModelStoreError):
    """Raised when files are missing and cannot be fetched."""

    exit_code = 3


class SourceUnreachable(FilesUnavailable):
    """Raised when a registry or hub does not answer. The installer then does not try it again for other files."""


class WrongHash(ModelStoreError):
    """Raised when a file does not have the hash that the catalogue states."""

    exit_code = 4

    def __init__(self, file: str, expected: str, actual: str, origin: str) -> None:
        super().__init__(f"{file} {origin} is not the right file: SHA-256 {actual}, expected {expected}")


class CannotWrite(ModelStoreError):
    """Raised when files cannot be written, because the disk is full or the directory is not writable."""

    exit_code = 5


class ModelNotInstalled(ModelStoreError):
    """Raised when a setting names a model that is unknown or not completely installed."""

    exit_code = 6


def writing_failed(error: OSError, directory: Path) -> CannotWrite:
    """Return the error to raise after writing below ``directory`` has failed with ``error``."""
    if error.errno in _NO_ROOM:
        return CannotWrite(
            f"The disk of {directory} is full. Make room and run it again: what is there already is kept."
        )
    reason = error.strerror or str(error)
    return CannotWrite(
        f"Cannot write to {directory}: {reason}. Set VOICE_MODELS_DIR to a directory that can be written."
    )
