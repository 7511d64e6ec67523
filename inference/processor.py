"""Find out which instruction sets this machine's processor supports."""

from __future__ import annotations

from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def flags() -> frozenset[str]:
    """Return the processor's flags as Linux names them, such as "avx512f"; an empty set on other systems and on Arm."""
    if not CPU_INFO.exists():
        return frozenset()
    line = next((line for line in CPU_INFO.read_text().splitlines() if line.startswith("flags")), "")
    return frozenset(line.split())
