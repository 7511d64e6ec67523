"""Give the event loop priority over the threads of models if there are more threads than cores.

A model's threads calculate for a long time without running Python. With the same priority as the event loop, they delay
it: on two busy cores, the event loop waited for half a second before it could answer. On Linux, each thread has its own
priority, and the threads that it starts inherit it. On other systems, this module does nothing.
"""

from __future__ import annotations

import os
import sys
import threading

NICE = 10


def lower() -> None:
    """Lower the priority of the current thread and of the threads that it starts.

    This cannot be undone, so call it in a thread that ends afterwards.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
