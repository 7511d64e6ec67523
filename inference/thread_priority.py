"""Lower the priority of the threads that run models, so that they do not delay the event loop.

A model's threads compute for a long time. If there are more of them than cores, and all threads have the same priority,
the event loop gets too little time: on two busy cores, a reply was delayed by half a second. On Linux, each thread has
its own priority, which is inherited by the threads that it starts. On other systems, this module does nothing.
"""

from __future__ import annotations

import os
import sys
import threading

NICE = 10
#: For speech synthesis, which may be slower: speech is played while the rest is synthesised, but a transcript is needed
#: as a whole.
VERY_NICE = 12


def lower(nice: int = NICE) -> None:
    """Lower the priority of the current thread and of the threads that it starts.

    ``nice``: the new nice value. A thread with a larger value gets less time.

    An unprivileged process cannot raise the priority again, so call this only in a thread of its own.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
