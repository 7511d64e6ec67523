"""Read the load and memory use of this machine's GPUs through NVML. A container reads only its own GPUs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

READ_EVERY_S = 1.0  # calls within this time share one reading

_lock = threading.Lock()
_has_gpus: bool | None = None
_read_at = float("-inf")
_readings: list[GpuReading] = []
_warned: set[str] = set()  # messages that have been logged; the GPUs are read every second, so each is logged only once


@dataclass(frozen=True)
class GpuReading:
    """A reading of one GPU.

    ``gpu``: its UUID.
    ``percent``: its load, as the percentage of time in which it calculates.
    ``memory_percent``: memory in use.
    """

    gpu: str
    percent: float
    memory_percent: float


def read() -> list[GpuReading]:
    """Read every GPU of this machine. Returns an empty list (no data, rather than zero load) if there is none."""
    global _has_gpus, _read_at, _readings  # looked up once: the driver's library is slow to load
    import pynvml  # imported only when needed

    with _lock:
        if _has_gpus is None:
            _has_gpus = _initialised(pynvml)
        if _has_gpus and time.monotonic() - _read_at >= READ_EVERY_S:
            _readings = _asked(pynvml)
            _read_at = time.monotonic()
        return _readings if _has_gpus else []


def busiest(readings: Iterable[GpuReading]) -> GpuReading | None:
    """Return one reading for all GPUs: the busiest one's id and load, and the highest memory use of any.

    None if there are no readings.
    """
    known = list(readings)
    if not known:
        return None
    most = max(known, key=lambda reading: reading.percent)
    return GpuReading(most.gpu, most.percent, max(reading.memory_percent for reading in known))


def _asked(nvml: Any) -> list[GpuReading]:
    """Read the GPUs that answer. A partition of a GPU (MIG) does not report its load and is left out."""
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
    with suppress(Exception):  # no driver, no library, no permission: no GPU for us
        nvml.nvmlInit()
        return True
    return False
