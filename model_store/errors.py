"""Errors about model files. Each message is one line for the user of ``manage.py models``."""

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
    """The catalogue has no model with this name."""

    exit_code = 2


class FilesUnavailable(ModelStoreError):
    """Files are missing and cannot be fetched from any source."""

    exit_code = 3


class SourceUnreachable(FilesUnavailable):
    """A registry or hub does not answer, so it is not asked for other files either."""


class WrongHash(ModelStoreError):
    """A file does not have the hash that the catalogue gives."""

    exit_code = 4

    def __init__(self, file: str, expected: str, actual: str, origin: str) -> None:
        super().__init__(f"{file} {origin} is not the right file: SHA-256 {actual}, expected {expected}")


class CannotWrite(ModelStoreError):
    """Files cannot be written, because the disk is full or the directory is not writable."""

    exit_code = 5


class ModelNotInstalled(ModelStoreError):
    """The model that a setting names is not installed, or is not a model."""

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
