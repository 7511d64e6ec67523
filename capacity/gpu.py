"""How busy this machine's GPUs are, by NVML."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

logger = logging.getLogger(__name__)

_lock = threading.Lock()
_has_gpus: bool | None = None


def busiest_percent() -> float | None:
    """The utilisation of the busiest GPU, 0 to 100. None where there is none: no data, not zero."""
    global _has_gpus  # found out once: loading the driver's library again and again would cost more than it tells
    import pynvml  # only where somebody asks

    with _lock:
        if _has_gpus is None:
            _has_gpus = _initialised(pynvml)
        if not _has_gpus:
            return None
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            return max((float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) for handle in handles), default=None)
        except pynvml.NVMLError:
            logger.warning("the GPUs cannot be read", exc_info=True)
            return None


def _initialised(pynvml: object) -> bool:
    with suppress(Exception):  # no driver, no library, no permission: no GPU for us
        pynvml.nvmlInit()  # type: ignore[attr-defined]
        return True
    return False
