"""The server's processes as `/metrics` shows them: their memory over time, and whether one died.

Behind a load balancer each reading is of whichever process answers; when a process began tells them apart.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field

import httpx

from tools.loadtests import leak

TIMEOUT_S = 10.0
FASTEST_S = 0.5
SLOWEST_S = 5.0
READINGS = 240.0
_GAUGE = re.compile(
    r"^(process_resident_memory_bytes|process_start_time_seconds|process_cpu_seconds_total) (\S+)$", re.MULTILINE
)
EDGE_SHARE = 0.2  # the first and the last of the readings: who was there, who still is


@dataclass
class Process:
    """``began``: Unix time. ``memory``: Unix time and bytes. ``worked``: Unix time and seconds of processor time."""

    began: float
    memory: list[leak.Reading] = field(default_factory=list)
    worked: list[tuple[float, float]] = field(default_factory=list)

    def cores(self, since: float, until: float) -> float | None:
        """Return how many cores the process kept busy in that time, on average; None with too few readings."""
        readings = [reading for reading in self.worked if since <= reading[0] <= until]
        if len(readings) < 2 or readings[-1][0] <= readings[0][0]:
            return None
        return (readings[-1][1] - readings[0][1]) / (readings[-1][0] - readings[0][0])


class Watch:
    """Reads ``url`` until it is stopped, in a thread of its own; what it has read is nobody else's until then."""

    def __init__(self, url: str, duration_s: float) -> None:
        self.processes: dict[float, Process] = {}
        self.readings: list[Process | None] = []  # in order; None: not reached
        self.problem = ""
        self._url = url
        self._interval_s = min(SLOWEST_S, max(FASTEST_S, duration_s / READINGS))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loadtest-memory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(TIMEOUT_S + 1)

    def memory(self) -> float | None:
        """The last reading, bytes."""
        last = self.readings[-1] if self.readings else None
        return last.memory[-1][1] if last else None

    def _run(self) -> None:
        while not self._stopping.is_set():
            at = time.monotonic()
            self.readings.append(self.read())
            self._stopping.wait(max(0.0, at + self._interval_s - time.monotonic()))

    def read(self) -> Process | None:
        """Read the process that answers now. None if it is not reached or exposes no figures (see ``problem``)."""
        try:
            answer = httpx.get(self._url, timeout=TIMEOUT_S)  # a connection of its own: any process may answer
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.problem = f"{self._url}: {error or type(error).__name__}"
            return None
        gauges = {name: float(value) for name, value in _GAUGE.findall(answer.text)}
        try:
            began = gauges["process_start_time_seconds"]
            bytes_ = gauges["process_resident_memory_bytes"]
        except KeyError:
            self.problem = f"{self._url} does not tell the process's memory"
            return None
        process = self.processes.setdefault(began, Process(began))
        process.memory.append((time.time(), bytes_))
        if (worked := gauges.get("process_cpu_seconds_total")) is not None:
            process.worked.append((time.time(), worked))
        return process

    # --- afterwards ---------------------------------------------------------------------------------------------------
    def trends(self, since: float, until: float) -> list[leak.Trend]:
        """Of each process that was read often enough in that time."""
        found = (
            leak.trend([reading for reading in process.memory if since <= reading[0] <= until])
            for process in self.processes.values()
        )
        return [trend for trend in found if trend is not None]

    def replaced(self) -> list[Process]:
        """Processes that went while others came: killed, crashed or deployed anew. (Fewer or more alone is scaling.)"""
        number = max(3, round(EDGE_SHARE * len(self.readings)))
        first = {process.began for process in self.readings[:number] if process}
        last = {process.began for process in self.readings[-number:] if process}
        gone = [process for began, process in self.processes.items() if began not in last]
        return gone if last - first else []
