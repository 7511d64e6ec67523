"""Give the event loop priority over the threads of models if there are more threads than cores.

A model's threads compute for a long time without running Python code. At the same priority, they delay the event loop:
on two busy cores, it waited for half a second before it could answer. On Linux, each thread has its own priority, which
the threads that it starts inherit. On other systems, this module does nothing.
"""

from __future__ import annotations

import os
import sys
import threading

NICE = 10
#: For a model whose users wait less: speech is played while the rest is synthesised, but a transcript is awaited whole.
VERY_NICE = 15


def lower(nice: int = NICE) -> None:
    """Lower the priority of the current thread and of the threads that it starts.

    ``nice``: the new priority; the kernel gives threads with a larger number less time.

    The priority cannot be raised again, so call this in a thread that ends when its work is done.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
