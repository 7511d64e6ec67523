"""Show the progress of a command: as a bar on a terminal, or as one line per step in a log or a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

_BAR = 24
_REDRAW_S = 0.1


class Progress:
    """Shows the progress of one step at a time.

    Call ``start`` at the beginning of a step, ``reach`` or ``add`` during it, and ``done`` at its end.

    ``output``: stream to which to write; None for standard error.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output if output is not None else sys.stderr
        self._draws = self._output.isatty()
        self._label = ""
        self._total = 0
        self._reached = 0
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done()

    def start(self, label: str, total_bytes: int) -> None:
        """End the previous step and begin a new one.

        ``label``: name of the step.
        ``total_bytes``: number of bytes to process in the step.
        """
        self.done()
        self._label = label
        self._total = total_bytes
        self._reached = 0
        if self._draws:
            self._draw()
        else:
            self.say(f"{label} ({megabytes(total_bytes)}) ...")

    def reach(self, total_bytes: int) -> None:
        """Show that ``total_bytes`` bytes of the step have been processed so far."""
        self._reached = min(max(total_bytes, self._reached), self._total)
        if self._draws and time.monotonic() - self._drawn_at > _REDRAW_S:
            self._draw()

    def add(self, more_bytes: int) -> None:
        """Show that ``more_bytes`` more bytes of the step have been processed."""
        self.reach(self._reached + more_bytes)

    def done(self) -> None:
        """End the step, so that the next output begins on a new line."""
        if self._draws and self._label:
            self._draw()
            self._output.write("\n")
            self._output.flush()
        self._label = ""

    def say(self, text: str) -> None:
        """End the step and print ``text`` on a separate line."""
        self.done()
        self._output.write(f"{text}\n")
        self._output.flush()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        share = self._reached / self._total if self._total else 1.0
        bar = "█" * round(_BAR * share) + "░" * (_BAR - round(_BAR * share))
        line = f"{self._label}  {bar} {share:4.0%} of {megabytes(self._total)}"
        width = shutil.get_terminal_size().columns
        self._output.write(f"\r{line[: width - 1]}\x1b[K")
        self._output.flush()


def megabytes(size: int) -> str:
    """Format a number of bytes as megabytes or gigabytes, such as ``0.5 MB``, ``141 MB`` or ``3.1 GB``."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 10_000_000 else f"{size / 1e6:.1f} MB"
