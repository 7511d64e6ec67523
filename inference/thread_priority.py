"""Give the event loop priority over the model's threads where there are more threads than cores.

A model's threads calculate for a long time without running Python. At the event loop's priority they delay it: on two
busy cores it waited half a second before it could answer. On Linux each thread has its own priority, which the threads
that it starts inherit. On other systems this module does nothing.
"""

from __future__ import annotations

import os
import sys
import threading

NICE = 10


def lower() -> None:
    """Lower the priority of this thread and of the threads that it starts.

    This cannot be undone, so call it in a thread that ends afterwards.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
