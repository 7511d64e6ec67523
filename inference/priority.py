"""Gives the event loop priority over the model's threads where there are more threads than cores.

A model's own threads calculate for long and run no Python. At the loop's priority they take its turns: on two busy
cores it then waited half a second to answer at all. Linux keeps a priority for each thread, and hands it on to those
that it starts; elsewhere nothing happens here.
"""

from __future__ import annotations

import os
import sys
import threading

NICE = 10


def lower() -> None:
    """Lower the priority of this thread and of those that it starts. This cannot be undone: use a thread that ends."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
