"""Let glibc keep the large buffers that a model on a CPU allocates again for each of its layers.

By default glibc takes each block above 32 MB from the kernel, returns it when it is freed, and does the same with the
end of a large heap. The kernel fills every page anew: for attention over 30 s of audio, 100,000 page faults and a third
of the encoder's time. Kept buffers stay mapped and are used again. What a load or an unload leaves behind is returned
by ``give_back``.

Other C libraries (musl, macOS) have no such options; there nothing changes.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MAX_KEPT_BYTES = 2**30  # free memory at the end of the heap beyond this goes back to the kernel
_OPERATORS = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_buffers() -> None:
    """Apply to this process, for good. An operator's own setting of malloc is kept.

    Call this before the model is loaded: threads that have a heap of their own already keep it.
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
    """Return to the kernel all memory that is free now. Call this when the model is loaded, and when it is unloaded."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if sys.platform == "linux" and trim is not None:
        trim(0)
