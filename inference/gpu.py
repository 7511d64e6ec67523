"""Reads how busy this machine's GPUs are and how full their memory is, through NVML. In a container: its own GPUs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

READ_EVERY_S = 1.0  # several ask at once: what each of them would hear hardly differs

_lock = threading.Lock()
_has_gpus: bool | None = None
_read_at = float("-inf")
_readings: list[GpuReading] = []
_warned: set[str] = set()  # asked every second: one line each is enough


@dataclass(frozen=True)
class GpuReading:
    """``gpu``: the GPU's UUID. Load (share of time calculating) and memory in use, both in percent."""

    gpu: str
    percent: float
    memory_percent: float


def read() -> list[GpuReading]:
    """Read every GPU of this machine. The list is empty where there is none: no data, not zero."""
    global _has_gpus, _read_at, _readings  # found out once: the driver's library is slow to load
    import pynvml  # only where somebody asks

    with _lock:
        if _has_gpus is None:
            _has_gpus = _initialised(pynvml)
        if _has_gpus and time.monotonic() - _read_at >= READ_EVERY_S:
            _readings = _asked(pynvml)
            _read_at = time.monotonic()
        return _readings if _has_gpus else []


def busiest(readings: Iterable[GpuReading]) -> GpuReading | None:
    """The one with the most work, and the fullest memory of all."""
    known = list(readings)
    if not known:
        return None
    most = max(known, key=lambda reading: reading.percent)
    return GpuReading(most.gpu, most.percent, max(reading.memory_percent for reading in known))


def _asked(nvml: Any) -> list[GpuReading]:
    """Read the GPUs that answer. A part of a GPU (MIG) does not report its load."""
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
