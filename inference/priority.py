"""Who goes first where there are more threads than cores: the event loop, before the model.

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
    """Let others go before this thread and those that it starts. There is no way back: for threads that end."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
