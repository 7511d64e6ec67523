"""Measure the memory of a service and its child processes: at present, and the peak since the last reset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GONE = (FileNotFoundError, ProcessLookupError)


def family(pid: int) -> Iterator[int]:
    """Yield the ids of a process and of all its descendants."""
    yield pid
    with suppress(*GONE):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))


def resident_mib(pid: int) -> float:
    return _sum(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """Return the sum of the memory peaks of a process and its descendants, in MiB.

    This is at least the peak of their sum.
    """
    return _sum(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    for one in family(pid):
        with suppress(*GONE):
            Path(f"/proc/{one}/clear_refs").write_text("5")


def _sum(pid: int, name: str) -> float:
    total = 0.0
    for one in family(pid):
        with suppress(*GONE):
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            total += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
    return total
