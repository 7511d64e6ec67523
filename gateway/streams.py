"""Limit the number of streams (WebSockets) that an end user may have open.

With Redis, all processes share one count; without Redis, each process counts its own streams. In Redis, each user has a
sorted set of streams, scored by their time of expiry. The streams of a killed process expire, because nothing renews
them.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from django.conf import settings
from django.utils.translation import gettext as _

from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import Caller
from core.per_loop import PerLoop
from core.redis_health import redis_health, redis_options, unless_unavailable

RENEWAL_S = 20.0
EXPIRY_S = 3 * RENEWAL_S
RETRY_AFTER_S = 5.0
NOT_COUNTED = "cannot count streams"


class StreamLimiter(Protocol):
    """Counts each user's open streams."""

    async def take(self, user: str, stream: str) -> int:
        """Count ``stream`` as open, and return the number of the user's open streams, including this one."""

    async def renew(self, user: str, stream: str) -> None: ...

    async def leave(self, user: str, stream: str) -> None: ...


class MemoryStreamLimiter:
    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    async def take(self, user: str, stream: str) -> int:
        self.taken[user] += 1
        return self.taken[user]

    async def renew(self, user: str, stream: str) -> None:
        pass

    async def leave(self, user: str, stream: str) -> None:
        self.taken[user] -= 1
        if not self.taken[user]:
            del self.taken[user]


class RedisStreamLimiter:
    def __init__(self, url: str) -> None:
        import redis.asyncio  # slow to import, so imported only where it is used

        self._url = url
        self._redis: Any = redis.asyncio.from_url(url, **redis_options())

    async def take(self, user: str, stream: str) -> int:
        name = self._name(user)
        now = time.time()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(name, 0, now)
            pipe.zadd(name, {stream: now + EXPIRY_S})
            pipe.expire(name, int(EXPIRY_S))
            pipe.zcard(name)
            return int((await redis_health(self._url).call(pipe.execute))[-1])

    async def renew(self, user: str, stream: str) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(self._name(user), {stream: time.time() + EXPIRY_S})
            pipe.expire(self._name(user), int(EXPIRY_S))
            await redis_health(self._url).call(pipe.execute)

    async def leave(self, user: str, stream: str) -> None:
        await redis_health(self._url).call(lambda: self._redis.zrem(self._name(user), stream))

    @staticmethod
    def _name(user: str) -> str:
        return f"voice:streams:{user}"


stream_limiter: PerLoop[StreamLimiter] = PerLoop(
    lambda: RedisStreamLimiter(settings.REDIS_URL) if settings.REDIS_URL else MemoryStreamLimiter()
)


@asynccontextmanager
async def stream_slot(caller: Caller, user: str) -> AsyncIterator[None]:
    """Count one more open stream of the user while the block runs.

    Raise ``ApiError`` 429 if the user already has ``VOICE_STREAMS_PER_USER`` streams. There is no limit while Redis is
    unavailable. Connections that name no end user are not limited either, because they may belong to many people.
    """
    limit = settings.VOICE_STREAMS_PER_USER
    unnamed = user == f"key:{caller.key_prefix}"
    if not limit or unnamed:
        yield
        return
    name = f"{caller.client_id}:{user}"
    stream = uuid.uuid4().hex
    taken = await unless_unavailable(stream_limiter().take(name, stream), NOT_COUNTED)
    renewing = asyncio.create_task(_renew(name, stream))
    try:
        if taken is not None and taken > limit:
            message = _("More than {limit} streams are open for this user. Close one first.").format(limit=limit)
            raise ApiError(ErrorCode.TOO_MANY_STREAMS, message, retry_after=RETRY_AFTER_S)
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        if taken is not None:
            await asyncio.shield(unless_unavailable(stream_limiter().leave(name, stream), NOT_COUNTED))


async def _renew(name: str, stream: str) -> None:
    while True:
        await asyncio.sleep(RENEWAL_S)
        await unless_unavailable(stream_limiter().renew(name, stream), NOT_COUNTED)
