"""Deployment history: the leading watcher records each new version of the service in the audit trail."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from core.audit import Change, acting, record

SUBJECT = "service"


def note(now: datetime) -> bool:
    """Record the running version if it differs from the last recorded one. Return True if it does."""
    with transaction.atomic(), acting("deploy", at=now):
        newest = Change.objects.filter(subject=SUBJECT).first()
        before = newest.after.get("version") if newest else None
        if before == settings.VOICE_VERSION:
            return False
        record(SUBJECT, {"version": before} if before else {}, {"version": settings.VOICE_VERSION})
    return True
