"""Let glibc keep the large buffers that a model on a CPU allocates again for each of its layers.

By default, glibc gets each block above 32 MB from the kernel and returns it as soon as it is freed. It also returns the
free end of a large heap. The kernel then has to fill each page again. For attention over 30 s of audio, this caused
100,000 page faults and took a third of the encoder's time. Buffers that are kept stay mapped and are reused. Memory
that is free after a model has been loaded or unloaded is returned by ``give_back``.

Other C libraries (musl, macOS) have no such options, so nothing changes there.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MAX_KEPT_BYTES = 2**30  # free memory at the end of the heap is returned to the kernel if it exceeds this
_OPERATORS = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_buffers() -> None:
    """Let this process keep freed buffers, permanently. If the operator has configured malloc, nothing is changed.

    Call this before the model is loaded, because a thread keeps the heap that it has.
    """
    if sys.platform != "linux" or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name in os.environ for name in _OPERATORS):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _MAX_KEPT_BYTES)


def give_back() -> None:
    """Return all free memory to the kernel. Call this after a model has been loaded or unloaded."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if sys.platform == "linux" and trim is not None:
        trim(0)
