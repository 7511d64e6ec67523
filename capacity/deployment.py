"""The deployed growth phase (``capacity.phases``), and the history of deployed versions.

Two settings belong to the phase: ``VOICE_PHASE`` and ``VOICE_MAX_CONCURRENT_USERS``. If ``VOICE_PHASE_DIR`` names a
directory, a file in it with the name of a setting takes precedence over that setting. On Kubernetes the directory is a
mounted ConfigMap, which the kubelet keeps up to date. The files are read again every few seconds, so the phase can
change without restarting a process or interrupting a stream.

All functions are thread-safe.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import transaction

from core.audit import Change, acting, record

logger = logging.getLogger(__name__)

READ_EVERY_S = 5.0
AUDIT_SUBJECT = "service"


def phase() -> int:
    """Return the number of the deployed phase; 0 if it is not set."""
    return _value("VOICE_PHASE")


def max_users() -> int:
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


def note_version(now: datetime) -> bool:
    """Record the running version in the audit trail, unless it was the last one recorded. Return True if recorded.

    The leading watcher calls this function.
    """
    with transaction.atomic(), acting("deploy", at=now):
        newest = Change.objects.filter(subject=AUDIT_SUBJECT).first()
        before = newest.after.get("version") if newest else None
        if before == settings.VOICE_VERSION:
            return False
        record(AUDIT_SUBJECT, {"version": before} if before else {}, {"version": settings.VOICE_VERSION})
    return True
