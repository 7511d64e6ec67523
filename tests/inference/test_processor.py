"""How many cores this process may use, from its affinity and from the limits of its control groups."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from inference import processor

Limited = Callable[[str, dict[str, str]], int]


@pytest.fixture
def cores_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limited:
    """Return a function that computes how many of a machine's eight cores may be used.

    Its parameters are the text of ``/proc/self/cgroup``, and the text of each file under ``/sys/fs/cgroup``.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))
    monkeypatch.setattr(processor, "OWN_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(processor, "CGROUPS", tmp_path / "fs")

    def cores(own: str, files: dict[str, str]) -> int:
        (tmp_path / "cgroup").write_text(own)
        for name, text in files.items():
            file = tmp_path / "fs" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return processor.cores.__wrapped__()

    return cores


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "3200000 100000\n"}, 8),
        ("0::/\n", {}, 8),
        ("0::/a.slice/b\n", {"a.slice/b/cpu.max": "max 100000", "a.slice/cpu.max": "300000 100000"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/../..\n", {"cpu.max": "400000 100000"}, 4),
        (
            "4:cpu,cpuacct:/a\n0::/\n",
            {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"},
            3,
        ),
        ("4:cpu,cpuacct:/a\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("4:memory:/pod\n", {"cpu.max": "100000 100000"}, 8),
        ("0::/\n", {"cpu.max": "what is this\n"}, 8),
        ("0::/\n", {"cpu.max": "100000 0\n"}, 8),
        ("0::/\n", {"cpu.max": "-5 100000\n"}, 8),
        ("\nwhat is this\n0::/a\u2028b\n", {"cpu.max": "200000 100000\n"}, 2),
    ],
)
def test_the_limit_of_a_control_group_bounds_the_cores(
    cores_with: Limited, own: str, files: dict[str, str], expected: int
) -> None:
    assert cores_with(own, files) == expected


def test_without_control_groups_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "OWN_CGROUPS", tmp_path / "missing")
    assert processor.cores.__wrapped__() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert processor.cores.__wrapped__() == os.cpu_count()
