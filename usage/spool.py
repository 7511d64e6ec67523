"""Finished work whose ledger row the database could not take: kept on disk, settled when the database is back.

Each process appends to a file of its own in the state directory, one JSON object a line, synced before the answer goes
out. While it is open the file is locked; a file without a lock was left by a process that died and is settled by
whoever finds it. A row has a ``settlement`` id that the ledger takes only once, so settling the same line again, or one
whose commit had got through after all, changes nothing. A line holds what the ledger's row holds: no text, no audio.

Threads: ``keep`` runs in any; ``drain`` in the ledger's.
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
REFUSED = "refused.jsonl.kept"  # lines that the database will never take, for a person to look at


@dataclass(frozen=True)
class SpooledEntry:
    """One settlement. ``at``: when the work was done. A stream that had been noted (``usage.checkpoints``) has its
    note's key and ``rest``: what is to be booked if somebody else has booked the note meanwhile."""

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
        """Raises ``ValueError``."""
        try:
            fields: dict[str, Any] = json.loads(line)
            rest = _entry(fields["rest"]) if fields["rest"] else None
            return cls(_entry(fields["entry"]), datetime.fromisoformat(fields["at"]), fields["stream"], rest)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no settlement: {error!r}") from error


def _entry(fields: dict[str, Any]) -> Entry:
    return Entry(**{**fields, "kind": Kind(fields["kind"])})


class Spool:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None

    def keep(self, kept: SpooledEntry) -> None:
        """Write the entry; returns once it is on the disk. Raises ``OSError``."""
        with self._lock:
            if self._file is None:
                self._file = self._open_own()
            self._file.write(kept.as_line())
            self._file.flush()
            os.fsync(self._file.fileno())

    @property
    def is_empty(self) -> bool:
        return not any(self._folder.glob("*.jsonl"))

    def count(self) -> int:
        """Return the number of files that wait to be settled, including those of other processes."""
        return sum(1 for _ in self._folder.glob("*.jsonl"))

    def drain(self, settle: Callable[[Sequence[SpooledEntry]], Sequence[SpooledEntry]]) -> int:
        """Settle what this process and dead ones have left; ``settle`` gives the settlements that can never be booked.
        Gives how many lines were taken. Raises what ``settle`` raises; nothing is lost by it."""
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
        """Release this process's file, so that other processes can settle it."""
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
            os.fsync(directory)  # or the file's name may be lost where its lines are not
        finally:
            os.close(directory)
        return file

    def _lines(self, path: Path, file: IO[bytes]) -> list[SpooledEntry]:
        """Return the readable entries. An unfinished last line was being written when its process died: nobody has had
        an answer for it."""
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
    """Lock the file and yield it; yields None if its process is alive or another one is settling it."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file
