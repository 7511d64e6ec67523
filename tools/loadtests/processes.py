"""Watch the server's processes through ``/metrics``: their memory over time, and whether one of them died.

Behind a load balancer, any of the processes may answer. They are identified by their start times.
"""

from __future__ import annotations

import re
import ssl
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
EDGE_SHARE = 0.2  # share of the readings that count as the beginning of the run; the same share counts as its end


@dataclass
class Process:
    """A process of the server.

    ``began``: when it started (Unix time).
    ``memory``: pairs of Unix time and resident memory in bytes.
    ``worked``: pairs of Unix time and CPU seconds used so far.
    """

    began: float
    memory: list[leak.Reading] = field(default_factory=list)
    worked: list[tuple[float, float]] = field(default_factory=list)

    def cores(self, since: float, until: float) -> float | None:
        """Return how many cores the process used on average between two Unix times.

        Return None if there are too few readings.
        """
        readings = [reading for reading in self.worked if since <= reading[0] <= until]
        if len(readings) < 2 or readings[-1][0] <= readings[0][0]:
            return None
        return (readings[-1][1] - readings[0][1]) / (readings[-1][0] - readings[0][0])


class Watch:
    """Reads a metrics address repeatedly, in a separate thread, until it is stopped.

    Before ``stop``, only ``memory`` may be called, because the thread is still changing the other results.

    ``processes``: the processes, by start time.
    ``readings``: the process of each reading, in order; None where the reading failed.
    ``problem``: the cause of the most recent failed reading; "" if none failed.
    """

    def __init__(self, url: str, duration_s: float) -> None:
        self.processes: dict[float, Process] = {}
        self.readings: list[Process | None] = []
        self.problem = ""
        self._url = url
        self._tls = ssl.create_default_context()  # made once: reading the certificates takes longer than a reading
        self._interval_s = min(SLOWEST_S, max(FASTEST_S, duration_s / READINGS))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loadtest-memory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(TIMEOUT_S + 1)

    def memory(self) -> float | None:
        """Return the memory at the last reading in bytes; None if that reading failed or there is none."""
        last = self.readings[-1] if self.readings else None
        return last.memory[-1][1] if last else None

    def _run(self) -> None:
        while not self._stopping.is_set():
            at = time.monotonic()
            self.readings.append(self.read())
            self._stopping.wait(max(0.0, at + self._interval_s - time.monotonic()))

    def read(self) -> Process | None:
        """Read the metrics of whichever process answers, and return that process.

        If that fails, return None and store the reason in ``problem``.
        """
        try:
            # A new connection each time, so any process may answer.
            answer = httpx.get(self._url, timeout=TIMEOUT_S, verify=self._tls)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.problem = f"{self._url}: {error or type(error).__name__}"
            return None
        gauges = {name: float(value) for name, value in _GAUGE.findall(answer.text)}
        try:
            began = gauges["process_start_time_seconds"]
            bytes_ = gauges["process_resident_memory_bytes"]
        except KeyError:
            self.problem = f"{self._url} does not report the process's memory"
            return None
        process = self.processes.setdefault(began, Process(began))
        process.memory.append((time.time(), bytes_))
        if (worked := gauges.get("process_cpu_seconds_total")) is not None:
            process.worked.append((time.time(), worked))
        return process

    # --- after the run ------------------------------------------------------------------------------------------------
    def trends(self, since: float, until: float) -> list[leak.Trend]:
        """Return the memory trend of each process between two Unix times.

        Processes with too few readings are left out.
        """
        found = (
            leak.trend([reading for reading in process.memory if since <= reading[0] <= until])
            for process in self.processes.values()
        )
        return [trend for trend in found if trend is not None]

    def replaced(self) -> list[Process]:
        """Return the processes that disappeared while new ones appeared: they crashed, were killed or were redeployed.

        If processes only disappeared or only appeared, the service was scaled, and the result is empty.
        """
        number = max(3, round(EDGE_SHARE * len(self.readings)))
        first = {process.began for process in self.readings[:number] if process}
        last = {process.began for process in self.readings[-number:] if process}
        gone = [process for began, process in self.processes.items() if began not in last]
        return gone if last - first else []
