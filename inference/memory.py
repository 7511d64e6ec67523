"""Make glibc keep the large buffers that a model on a CPU allocates anew for each of its layers.

By default, glibc gets each block above 32 MB from the kernel, and returns the block to the kernel when it is freed.
glibc also returns free memory at the end of a large heap. The kernel must then clear each page before it is used again.
For attention over 30 s of audio, this caused 100,000 page faults and took a third of the encoder's time. Buffers that
glibc keeps are reused without page faults. Call ``give_back`` after loading or unloading a model, to return the free
memory to the kernel.

Other C libraries (such as musl and that of macOS) do not have these options. There, this module does nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MAX_KEPT_BYTES = 2**30  # if more memory is free at the end of the heap, glibc returns it to the kernel
_OPERATORS = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_buffers() -> None:
    """Make glibc keep freed buffers in this process from now on. Change nothing if the operator has configured malloc.

    Call this before the model is loaded. It makes all threads share one heap (arena), but a thread that already uses
    another heap keeps it.
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
