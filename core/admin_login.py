"""The admin's login form, which limits the number of login attempts and the CPU load of password checks.

Threads: Django validates the form in the threads that run synchronous views. A semaphore lets only one thread at a time
check a password.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.forms import AuthenticationForm

logger = logging.getLogger(__name__)

WINDOW_S = 300
MAX_ATTEMPTS_PER_NAME = 10  # per user name and IP address within the window; a successful login resets the count
MAX_ATTEMPTS_PER_ADDRESS = 50
HASHING_WAIT_S = 2.0

# Hashing a password takes half a second of CPU, by design. One hash at a time leaves the other cores free for speech.
_hashing = threading.BoundedSemaphore(1)


class LimitedLoginForm(AuthenticationForm):
    """The admin's login form. After too many attempts, it refuses every password without checking it."""

    def clean(self) -> dict[str, Any]:
        request: HttpRequest = self.request
        address = request.META.get("REMOTE_ADDR", "")
        by_name = _counter("name", address, self.cleaned_data.get("username", "").lower())
        by_address = _counter("address", address)
        if _count(by_name) > MAX_ATTEMPTS_PER_NAME or _count(by_address) > MAX_ATTEMPTS_PER_ADDRESS:
            logger.warning("too many attempts to log in", extra={"address": address})
            minutes = WINDOW_S // 60
            raise ValidationError(f"Too many attempts. Try again in {minutes} minutes.", code="too_many_attempts")
        if not _hashing.acquire(timeout=HASHING_WAIT_S):
            raise ValidationError("Too many people are logging in right now. Try again.", code="busy")
        try:
            cleaned: dict[str, Any] = super().clean()
        finally:
            _hashing.release()
        _forget(by_name)
        return cleaned


def _counter(*parts: str) -> str:
    """Return the cache key of the counter that ``parts`` identify, such as a user name and an IP address.

    The key is a hash, because a user name may contain characters that are not allowed in cache keys.
    """
    return "login:" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _count(key: str) -> int:
    """Count a login attempt, and return the number of attempts within the window, including this one.

    If the cache is unavailable, return 0, so that no login is refused.
    """
    try:
        cache.add(key, 0, WINDOW_S)
        return cache.incr(key)
    except ValueError:  # the counter expired between the two calls
        return 1
    except Exception:
        logger.warning("cannot count attempts to log in", exc_info=True)
        return 0


def _forget(key: str) -> None:
    try:
        cache.delete(key)
    except Exception:
        logger.warning("cannot forget attempts to log in", exc_info=True)
