"""Settings of the deployed phase that can change without a restart: its number and its limit of users.

If ``VOICE_PHASE_DIR`` names a directory, a file there with the name of a setting takes precedence over that setting. On
Kubernetes the directory is a mounted ConfigMap, which the kubelet keeps up to date. Files are read again every few
seconds, so changing the phase restarts no process and cuts no stream.

Thread-safe.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

READ_EVERY_S = 5.0


def phase() -> int:
    """Return the number of the deployed phase; 0 if it is not set."""
    return _value("VOICE_PHASE")


def most_users() -> int:
    """Return the limit of concurrent end users; 0 means no limit."""
    return _value("VOICE_MAX_CONCURRENT_USERS")


def _value(name: str) -> int:
    if settings.VOICE_PHASE_DIR:
        found = _in_file(str(Path(settings.VOICE_PHASE_DIR) / name), time.monotonic() // READ_EVERY_S)
        if found is not None:
            return found
    return int(getattr(settings, name))


@lru_cache(maxsize=8)
def _in_file(path: str, _period: float) -> int | None:
    try:
        return max(0, int(Path(path).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("a file of VOICE_PHASE_DIR is of no use", extra={"path": path, "reason": str(error)})
        return None
