"""Find out how many cores this process may use, and which instruction sets the processor supports."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
OWN_CGROUPS = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


@cache
def cores() -> int:
    """Return the number of cores that this process may use.

    This can be fewer than the machine has, for two reasons. The process may be restricted to certain cores, by
    ``taskset`` or the Kubernetes CPU manager. Or the CPU time of its container or service may be limited, by ``docker
    run --cpus``, Kubernetes ``limits`` or systemd ``CPUQuota``. A limit of one and a half cores counts as two.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([usable, *(math.ceil(limit) for limit in _cpu_limits())]))


def _cpu_limits() -> Iterator[float]:
    """Yield each limit, in cores, that Linux control groups set for this process; nothing on other systems."""
    try:
        groups = os.fsdecode(OWN_CGROUPS.read_bytes()).split("\n")  # a path may have any bytes except a newline
    except OSError:
        return
    for line in groups:
        if line.count(":") < 2:
            continue
        _number, controllers, path = line.split(":", 2)
        if not controllers:  # version 2 has one hierarchy for all controllers
            top = CGROUPS
        elif "cpu" in controllers.split(","):
            top = CGROUPS / "cpu"
        else:
            continue
        # In a container, the path may be that of the host. Then the container's own group is mounted at the top.
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top) and (limit := _cpu_limit(folder)):
                yield limit


def _cpu_limit(group: Path) -> float | None:
    """Return the limit, in cores, of the control group whose files are in this folder; None if it has no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()  # microseconds of CPU time, in microseconds
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def flags() -> frozenset[str]:
    """Return the processor's flags as Linux names them, such as "avx512f"; an empty set on other systems and on Arm."""
    if not CPU_INFO.exists():
        return frozenset()
    line = next((line for line in CPU_INFO.read_text().splitlines() if line.startswith("flags")), "")
    return frozenset(line.split())
