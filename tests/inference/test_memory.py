"""A model's large buffers stay mapped: repeating the same work takes hardly any new pages from the kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: A program that allocates 48 MB sixteen times, as attention over 30 s of audio does for each layer. It prints the page
#: faults of the last eight times.
WORK = """
import resource, sys
import numpy as np
from inference import memory
if sys.argv[1] == "kept":
    memory.keep_buffers()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        np.full(12_000_000, 1.0, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}


def _faults(how: str, **environment: str) -> int:
    everything = _environment() | environment
    run = subprocess.run([sys.executable, "-c", WORK, how], env=everything, capture_output=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_buffers_are_used_again() -> None:
    untouched = _faults("untouched")
    assert _faults("kept") < untouched / 10


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_free_memory_is_returned() -> None:
    resident = "int(open('/proc/self/statm').read().split()[1])"
    work = f"""
import numpy as np
from inference import memory
memory.keep_buffers()
np.full(25_000_000, 1.0, np.float32)
kept = {resident}
memory.give_back()
print(kept - {resident})
"""
    run = subprocess.run([sys.executable, "-c", work], env=_environment(), capture_output=True, check=True)
    assert int(run.stdout) * os.sysconf("SC_PAGE_SIZE") > 80_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
@pytest.mark.parametrize("setting", [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}])
def test_an_operators_allocator_setting_is_kept(setting: dict[str, str]) -> None:
    assert _faults("kept", **setting) > _faults("kept") * 10
