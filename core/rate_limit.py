"""Limit the number of requests that each caller may send per minute.

A caller's minute begins with the first request that is counted in it. With Redis, all processes share one count.
Without Redis, each process counts only its own requests.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from core.context import current
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import Caller
from core.per_loop import PerLoop
from core.redis_health import redis_health, redis_options, unless_unavailable

UNLIMITED = 1_000_000_000  # the value in the response headers if no limit is configured


@dataclass(frozen=True)
class RateLimit:
    """The state of a caller's rate limit after a request has been counted.

    ``limit``: requests allowed per minute.
    ``remaining``: requests still allowed in this minute.
    ``reset_s``: seconds until this minute ends.
    ``exceeded``: whether this request is beyond the limit.
    """

    limit: int
    remaining: int
    reset_s: float
    exceeded: bool = False

    def check(self) -> None:
        """Raise ``ApiError`` 429 if this request exceeds the limit."""
        if self.exceeded:
            message = _("More than {limit} requests a minute. Try again in {reset_s:.0f} s.").format(
                limit=self.limit, reset_s=self.reset_s
            )
            raise ApiError(ErrorCode.RATE_LIMIT_EXCEEDED, message, retry_after=self.reset_s)

    def headers(self) -> dict[str, str]:
        """Return OpenAI's rate limit headers for the response."""
        return {
            "X-RateLimit-Limit-Requests": str(self.limit),
            "X-RateLimit-Remaining-Requests": str(self.remaining),
            "X-RateLimit-Reset-Requests": f"{self.reset_s:.3f}s",
        }


def untouched() -> RateLimit:
    """Return the state of the rate limit for a caller that has not sent a request in this minute."""
    limit = settings.VOICE_RATE_LIMIT or UNLIMITED
    return RateLimit(limit, limit, 0.0)


async def spend(caller: Caller) -> RateLimit:
    """Count one request of the caller, and return the state of the rate limit.

    The state is also stored in the request's context, from which the response's headers are made. While Redis is
    unavailable, requests are not limited.
    """
    rate = untouched()
    if settings.VOICE_RATE_LIMIT:
        rate = await unless_unavailable(_count(caller.rate_key), "the rate limit's storage cannot be reached") or rate
    current().rate = rate
    return rate


async def _count(bucket: str) -> RateLimit:
    if settings.REDIS_URL:
        return await redis_health(settings.REDIS_URL).call(lambda: _hit(bucket))
    return await _hit(bucket)


async def _hit(bucket: str) -> RateLimit:
    limiter = _limiter()
    item = RateLimitItemPerMinute(settings.VOICE_RATE_LIMIT, namespace="voice")
    allowed = await limiter.hit(item, bucket)
    window = await limiter.get_window_stats(item, bucket)
    reset_s = max(0.0, window.reset_time - time.time())
    return RateLimit(item.amount, window.remaining, reset_s, exceeded=not allowed)


def _make_limiter() -> FixedWindowRateLimiter:
    if settings.REDIS_URL:
        url = f"async+{settings.REDIS_URL}"
        storage = RedisStorage(url, implementation="redispy", wrap_exceptions=True, **redis_options())
        return FixedWindowRateLimiter(storage)
    return FixedWindowRateLimiter(MemoryStorage())


_limiter = PerLoop(_make_limiter)
