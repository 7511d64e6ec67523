"""The state directory, which contains the files of one installation, such as the SQLite database and secrets."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def state_directory(path: str | Path) -> Path:
    """Return the absolute path of the state directory. If it is missing, create it with access for its owner only."""
    directory = Path(path).expanduser().resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read. Replace an existing file atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    draft.replace(path)


def kept_secret(path: Path, *, prefix: str = "", bytes_of_entropy: int = 48) -> str:
    """Return the secret in the file ``path``. If the file is missing, generate a secret and store it there.

    All processes get the same secret, even if they start at the same time.

    ``prefix``: text with which a generated secret begins.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        write_private(draft, prefix + secrets.token_urlsafe(bytes_of_entropy))
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, a link never replaces a file that another process has just written
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()
