"""Run ``manage.py serve --demo`` and report the CPU time of its threads on request.

    python -m tools.benchmarks.observed_server DESCRIPTOR

Each line read from standard input asks for a report, which is written as one line of JSON to the file descriptor. A
report has the time, the batches since the last report, and the CPU seconds used so far by the threads of each role: the
event loop, the audio thread pools, the engines, and the ledger writer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")

import django

LOOP = "loop"
POOL = "pool"
ENGINE = "engine"
LEDGER = "ledger"


def processor_seconds() -> dict[str, float]:
    """Return the CPU seconds that this process has used, by role of the thread.

    Threads that were not started by Python count as engine threads.
    """
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    used: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
        except FileNotFoundError:
            continue  # the thread has just ended
        number = int(task.name)
        role = LOOP if number == os.getpid() else _role(names.get(number))
        used[role] = used.get(role, 0.0) + seconds
    return used


def _role(name: str | None) -> str:
    if name is None:
        return ENGINE
    if name.startswith(("cpu_", "first_", "live_", "ahead_")):
        return POOL
    from inference import runtime

    return ENGINE if any(name.startswith(f"{engine}-") for engine in runtime.names()) else LEDGER


def main(descriptor: int) -> None:
    django.setup()
    from django.core.management import call_command

    from inference import runtime

    batches: list[tuple[str, int, float]] = []
    runtime.observe_batches(lambda engine, size, seconds: batches.append((engine, size, seconds)))

    def answer() -> None:
        with os.fdopen(descriptor, "w") as output:
            for _line in sys.stdin:
                told = list(batches)
                batches[:] = []
                print(json.dumps({"at": time.time(), "used": processor_seconds(), "batches": told}), file=output)
                output.flush()

    threading.Thread(target=answer, daemon=True, name="observer").start()
    call_command("serve", "--demo")


if __name__ == "__main__":
    main(int(sys.argv[1]))
