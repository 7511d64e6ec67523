"""What changes with the phase that is deployed, without a restart: the phase itself and the limit of users.

Both are settings. Where ``VOICE_PHASE_DIR`` names a directory (on Kubernetes a mounted ConfigMap, which the kubelet
keeps up to date), a file there with the setting's name is believed instead, and looked at again every few seconds. So
changing phase ends no process and cuts no stream.

Any thread may ask.
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
    """The number of the phase, 0 where nobody says."""
    return _value("VOICE_PHASE")


def most_users() -> int:
    """How many end users there is room for, 0 without a limit."""
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
