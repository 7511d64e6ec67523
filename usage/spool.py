"""Store ledger rows on disk while the database is unavailable, and write them to the ledger when it is back.

Each process appends to its own file in the state directory: one JSON object per line, synced to disk before the
response is sent. A process keeps its file locked. A file without a lock belongs to a process that died, and any other
process may settle it, that is, write its rows to the ledger.

Each row has a ``settlement`` id, which the ledger accepts only once. So a line may safely be settled twice, and a row
may be spooled although its first commit succeeded after all. A line contains the fields of the ledger row, but no text
and no audio.

Threads: ``keep`` may run in any thread, ``drain`` only in the ledger's thread.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from usage.entry import Entry, Kind

logger = logging.getLogger(__name__)

AT_ONCE = 100  # lines settled in one transaction
REFUSED = "refused.jsonl.kept"  # file for lines that the ledger can never accept, for operators to examine


@dataclass(frozen=True)
class SpooledEntry:
    """A ledger row in the spool.

    ``entry``: the row to write.
    ``at``: time of the work.
    ``stream``: key of the stream's checkpoint (``usage.checkpoints``), or "".
    ``rest``: the row to write instead of ``entry`` if another process has already settled the checkpoint.
    """

    entry: Entry
    at: datetime
    stream: str = ""
    rest: Entry | None = None

    def as_line(self) -> bytes:
        rest = dataclasses.asdict(self.rest) if self.rest else None
        fields = {"at": self.at.isoformat(), "entry": dataclasses.asdict(self.entry), "rest": rest}
        return json.dumps({**fields, "stream": self.stream}).encode() + b"\n"

    @classmethod
    def from_json(cls, line: str | bytes) -> SpooledEntry:
        """Parse a line of a spool file. Raise ``ValueError`` if the line is not valid."""
        try:
            fields: dict[str, Any] = json.loads(line)
            rest = _entry(fields["rest"]) if fields["rest"] else None
            return cls(_entry(fields["entry"]), datetime.fromisoformat(fields["at"]), fields["stream"], rest)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no settlement: {error!r}") from error


def _entry(fields: dict[str, Any]) -> Entry:
    return Entry(**{**fields, "kind": Kind(fields["kind"])})


class Spool:
    """The spool files of all processes that use the same directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None

    def keep(self, kept: SpooledEntry) -> None:
        """Append the entry to this process's file, and sync it to disk. Raise ``OSError`` if this fails."""
        with self._lock:
            if self._file is None:
                self._file = self._open_own()
            self._file.write(kept.as_line())
            self._file.flush()
            os.fsync(self._file.fileno())

    @property
    def is_empty(self) -> bool:
        """Whether there are no files to settle."""
        return not any(self._folder.glob("*.jsonl"))

    def count(self) -> int:
        """Return the number of files to settle, including the files of other processes."""
        return sum(1 for _ in self._folder.glob("*.jsonl"))

    def drain(self, settle: Callable[[Sequence[SpooledEntry]], Sequence[SpooledEntry]]) -> int:
        """Settle the entries of this process and of processes that died. Return the number of entries.

        ``settle``: writes entries to the ledger, and returns those that the ledger can never accept. They are appended
        to the file ``REFUSED``. If ``settle`` raises an error, the spool file is kept, and the error is passed on.
        """
        self.release()
        taken = 0
        for path in sorted(self._folder.glob("*.jsonl")):
            with _claimed(path) as file:
                if file is None:
                    continue
                lines = self._lines(path, file)
                for start in range(0, len(lines), AT_ONCE):
                    refused = settle(lines[start : start + AT_ONCE])
                    self._set_aside([one.as_line() for one in refused])
                taken += len(lines)
                path.unlink(missing_ok=True)
        return taken

    def release(self) -> None:
        """Close this process's file, so that other processes can settle it."""
        with self._lock:
            file = self._file
            self._file = None
        if file is not None:
            file.close()

    def _open_own(self) -> IO[bytes]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:12]}.jsonl"
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600), "ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)  # without this, a power failure could lose the directory entry of the new file
        finally:
            os.close(directory)
        return file

    def _lines(self, path: Path, file: IO[bytes]) -> list[SpooledEntry]:
        """Return the entries in the file, and move unreadable lines to ``REFUSED``.

        Drop an incomplete last line, because the process died while writing it, before it sent the response.
        """
        kept: list[SpooledEntry] = []
        for line in file:
            try:
                kept.append(SpooledEntry.from_json(line))
            except ValueError:
                logger.error("a spooled settlement cannot be read", extra={"file": path.name, "bytes": len(line)})
                if line.endswith(b"\n"):
                    self._set_aside([line])
        return kept

    def _set_aside(self, lines: Sequence[bytes]) -> None:
        if lines:
            logger.error("settlements were set aside", extra={"settlements": len(lines)})
            with (self._folder / REFUSED).open("ab") as file:
                file.write(b"".join(lines))


@contextmanager
def _claimed(path: Path) -> Iterator[IO[bytes] | None]:
    """Lock the file, and yield it. Yield None if another process has locked the file to write or to settle it."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file
