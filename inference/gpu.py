"""Read the load and the memory use of this machine's GPUs through NVML. A container sees only its own GPUs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

READ_EVERY_S = 1.0  # calls within this time return the same readings

_lock = threading.Lock()
_has_gpus: bool | None = None
_read_at = float("-inf")
_readings: list[GpuReading] = []
_warned: set[str] = set()  # messages logged so far, so that reading the GPUs every second logs each message only once


@dataclass(frozen=True)
class GpuReading:
    """The load of one GPU at one moment.

    ``gpu``: UUID of the GPU.
    ``percent``: utilisation, that is, the percentage of time in which the GPU computes.
    ``memory_percent``: percentage of the GPU's memory that is in use.
    """

    gpu: str
    percent: float
    memory_percent: float


def read() -> list[GpuReading]:
    """Return a reading of each GPU of this machine; an empty list if there is no GPU."""
    global _has_gpus, _read_at, _readings  # shared by all calls, because the driver's library is slow to load
    import pynvml  # imported here, because most processes read no GPUs

    with _lock:
        if _has_gpus is None:
            _has_gpus = _initialised(pynvml)
        if _has_gpus and time.monotonic() - _read_at >= READ_EVERY_S:
            _readings = _read_all(pynvml)
            _read_at = time.monotonic()
        return _readings if _has_gpus else []


def busiest(readings: Iterable[GpuReading]) -> GpuReading | None:
    """Combine the readings of several GPUs into one; return None if there are no readings.

    The result has the UUID and the load of the busiest GPU, but the highest memory use of any of the GPUs.
    """
    known = list(readings)
    if not known:
        return None
    busiest_one = max(known, key=lambda reading: reading.percent)
    return GpuReading(busiest_one.gpu, busiest_one.percent, max(reading.memory_percent for reading in known))


def _read_all(nvml: Any) -> list[GpuReading]:
    """Read all GPUs. Leave out those that do not report their load, such as a partition of a GPU (MIG)."""
    readings = []
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError:
        _warn_once("the GPUs cannot be counted")
        return []
    for index in range(count):
        try:
            readings.append(_reading(nvml, index))
        except nvml.NVMLError:
            _warn_once(f"GPU {index} cannot be read")
    return readings


def _reading(nvml: Any, index: int) -> GpuReading:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    percent = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return GpuReading(str(nvml.nvmlDeviceGetUUID(handle)), percent, 100 * memory.used / memory.total)


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        logger.warning(message, exc_info=True)


def _initialised(nvml: Any) -> bool:
    with suppress(Exception):  # without a driver, the library or permission, no GPU can be read
        nvml.nvmlInit()
        return True
    return False
