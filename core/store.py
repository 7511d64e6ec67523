"""Short-lived values that a request stores for later requests, in the memory of this process or in Redis.

The values may contain what users said, so they expire soon, and this service never writes them to disk. While Redis is
unavailable, every call raises ``StoreUnavailable`` within seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

from cachetools import TTLCache
from django.conf import settings

from core.per_loop import PerLoop
from core.redis_health import RedisUnavailable, redis_health, redis_options

logger = logging.getLogger(__name__)

OVERHEAD_BYTES = 512  # memory that an entry takes in addition to its value

T = TypeVar("T")


class StoreUnavailable(Exception):
    """Redis cannot be reached, so the stored values are unknown."""


class Store(Protocol):
    """A store of values that expire. All methods raise ``StoreUnavailable`` while Redis is unavailable."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes) -> None:
        """Store ``value`` under ``name`` for the lifetime that the store was made with.

        A value that is too large is not stored, and an earlier value of that name is removed.
        """

    async def claim(self, name: str, value: bytes, lifetime_s: float) -> bool:
        """Store ``value`` for ``lifetime_s`` seconds if the name is free. Return True if it was free."""

    async def renew(self, name: str, lifetime_s: float) -> None:
        """Extend the lifetime of an existing value to ``lifetime_s`` seconds from now.

        A longer remaining lifetime is not shortened.
        """

    async def drop(self, name: str) -> None: ...


def _size(value: bytes) -> int:
    return len(value) + OVERHEAD_BYTES


class MemoryStore:
    """A store in the memory of this process.

    ``max_bytes``: limit on the size of all values together.
    ``lifetime_s``: seconds for which a value is kept.
    """

    def __init__(self, max_bytes: int, lifetime_s: float) -> None:
        self._values: TTLCache[str, bytes] = TTLCache(
            max_bytes, lifetime_s, getsizeof=lambda v: len(v) + OVERHEAD_BYTES
        )

    async def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    async def put(self, name: str, value: bytes) -> None:
        self._values.pop(name, None)
        if _size(value) <= self._values.maxsize:
            self._values[name] = value

    async def claim(self, name: str, value: bytes, lifetime_s: float) -> bool:
        # ``lifetime_s`` frees the claims of processes that have died. Here it is not needed: a live process always
        # calls ``put`` or ``drop``.
        if name in self._values:
            return False
        await self.put(name, value)
        return True

    async def renew(self, name: str, lifetime_s: float) -> None:
        pass

    async def drop(self, name: str) -> None:
        self._values.pop(name, None)


class RedisStore:
    """A store in Redis.

    ``namespace``: part of the Redis keys that separates this store's values from those of other stores.
    ``max_bytes``: limit on the size of each value.
    ``lifetime_s``: seconds for which ``put`` keeps a value.
    """

    def __init__(self, url: str, namespace: str, max_bytes: int, lifetime_s: int) -> None:
        import redis.asyncio  # slow to import, so only where it is used

        self._url = url
        self._redis = redis.asyncio.from_url(url, **redis_options())
        self._away = (redis.RedisError, OSError)
        self._namespace = namespace
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s

    async def get(self, name: str) -> bytes | None:
        return cast("bytes | None", await self._told(lambda: self._redis.get(self._key(name))))

    async def put(self, name: str, value: bytes) -> None:
        if len(value) <= self._max_bytes:
            await self._told(lambda: self._redis.set(self._key(name), value, ex=self._lifetime_s))
        else:
            await self.drop(name)

    async def claim(self, name: str, value: bytes, lifetime_s: float) -> bool:
        lifetime_ms = round(1000 * lifetime_s)
        return bool(await self._told(lambda: self._redis.set(self._key(name), value, px=lifetime_ms, nx=True)))

    async def renew(self, name: str, lifetime_s: float) -> None:
        await self._told(lambda: self._redis.pexpire(self._key(name), round(1000 * lifetime_s), gt=True))

    async def drop(self, name: str) -> None:
        await self._told(lambda: self._redis.delete(self._key(name)))

    async def _told(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await redis_health(self._url).call(call)
        except RedisUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        except self._away as error:
            logger.warning("Redis cannot be reached", extra={"reason": str(error)[:200]})
            raise StoreUnavailable(str(error)) from error

    def _key(self, name: str) -> str:
        return f"voice:{self._namespace}:{name}"


def make_store(namespace: str, max_bytes: int, lifetime_s: int) -> PerLoop[Store]:
    """Return a store in Redis if Redis is configured, otherwise in the memory of this process.

    ``max_bytes``: limit on the size of all values together in this process, or of each value in Redis.
    ``lifetime_s``: seconds for which ``put`` keeps a value.
    """

    def make() -> Store:
        if settings.REDIS_URL:
            return RedisStore(settings.REDIS_URL, namespace, max_bytes, lifetime_s)
        return MemoryStore(max_bytes, lifetime_s)

    return PerLoop(make)
