"""What can go wrong with model files. Each message is for the person at the terminal, who sees one line."""

from __future__ import annotations

import errno
from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ModelStoreError(Exception):
    """``exit_code`` is what `manage.py models` ends with."""

    exit_code = 1


class UnknownModel(ModelStoreError):
    """No model of the catalogue has this name."""

    exit_code = 2


class NotToBeHad(ModelStoreError):
    """No source has the missing files."""

    exit_code = 3


class Unreachable(NotToBeHad):
    """A registry or hub does not answer at all: no use asking it for anything else now."""


class WrongHash(ModelStoreError):
    """A file is not what the catalogue says."""

    exit_code = 4

    def __init__(self, file: str, expected: str, actual: str, origin: str) -> None:
        super().__init__(f"{file} {origin} is not the right file: SHA-256 {actual}, expected {expected}")


class CannotWrite(ModelStoreError):
    """The disk is full or the directory cannot be written."""

    exit_code = 5


class ModelNotHere(ModelStoreError):
    """The model that a setting names cannot be loaded from here."""

    exit_code = 6


def writing_failed(error: OSError, directory: Path) -> CannotWrite:
    """The message for an error that writing below ``directory`` gave."""
    if error.errno in _NO_ROOM:
        return CannotWrite(
            f"The disk of {directory} is full. Make room and run it again: what is there already is kept."
        )
    reason = error.strerror or str(error)
    return CannotWrite(
        f"Cannot write to {directory}: {reason}. Set VOICE_MODELS_DIR to a directory that can be written."
    )
