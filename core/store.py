"""A store of short-lived values that later requests can read, in the memory of this process or in Redis.

The values may contain what users have said, so they expire soon, and this service never writes them to disk. While
Redis is unavailable, every call raises ``StoreUnavailable`` within seconds.
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

OVERHEAD_BYTES = 512  # estimated memory that an entry takes in addition to the value's bytes

T = TypeVar("T")


class StoreUnavailable(Exception):
    """Raised when Redis cannot be reached, so that stored values cannot be read or written."""


class Store(Protocol):
    """A store of values that expire. Every method raises ``StoreUnavailable`` if Redis is needed but unavailable."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes) -> None:
        """Store ``value`` under ``name`` for the store's default lifetime.

        If the value is too large, do not store it, but remove an earlier value with this name.
        """

    async def claim(self, name: str, value: bytes, lifetime_s: float) -> bool:
        """Store ``value`` for ``lifetime_s`` seconds if the name is not in use. Return False if the name is in use."""

    async def renew(self, name: str, lifetime_s: float) -> None:
        """Extend the lifetime of an existing value to ``lifetime_s`` seconds from now, but never shorten it."""

    async def drop(self, name: str) -> None: ...


def _size(value: bytes) -> int:
    return len(value) + OVERHEAD_BYTES


class MemoryStore:
    """A store in the memory of this process.

    ``max_bytes``: maximum total size of all values in bytes.
    ``lifetime_s``: lifetime of a value in seconds.
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
        # In Redis, ``lifetime_s`` ends the claims of processes that have died. It is not needed here: claims in memory
        # end with the process, and a live process always calls ``put`` or ``drop``.
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

    ``namespace``: prefix that separates this store's Redis keys from those of other stores.
    ``max_bytes``: maximum size of each value in bytes.
    ``lifetime_s``: lifetime in seconds of values that ``put`` stores.
    """

    def __init__(self, url: str, namespace: str, max_bytes: int, lifetime_s: int) -> None:
        import redis.asyncio  # slow to import, so imported only where it is used

        self._url = url
        self._redis = redis.asyncio.from_url(url, **redis_options())
        self._unavailable_errors = (redis.RedisError, OSError)
        self._namespace = namespace
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s

    async def get(self, name: str) -> bytes | None:
        return cast("bytes | None", await self._call(lambda: self._redis.get(self._key(name))))

    async def put(self, name: str, value: bytes) -> None:
        if len(value) <= self._max_bytes:
            await self._call(lambda: self._redis.set(self._key(name), value, ex=self._lifetime_s))
        else:
            await self.drop(name)

    async def claim(self, name: str, value: bytes, lifetime_s: float) -> bool:
        lifetime_ms = round(1000 * lifetime_s)
        return bool(await self._call(lambda: self._redis.set(self._key(name), value, px=lifetime_ms, nx=True)))

    async def renew(self, name: str, lifetime_s: float) -> None:
        await self._call(lambda: self._redis.pexpire(self._key(name), round(1000 * lifetime_s), gt=True))

    async def drop(self, name: str) -> None:
        await self._call(lambda: self._redis.delete(self._key(name)))

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await redis_health(self._url).call(call)
        except RedisUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        except self._unavailable_errors as error:
            logger.warning("Redis cannot be reached", extra={"reason": str(error)[:200]})
            raise StoreUnavailable(str(error)) from error

    def _key(self, name: str) -> str:
        return f"voice:{self._namespace}:{name}"


def make_store(namespace: str, max_bytes: int, lifetime_s: int) -> PerLoop[Store]:
    """Return a callable that returns the running event loop's store.

    The store is in Redis if Redis is configured, otherwise in the memory of this process.

    ``namespace``: name that separates this store's values from those of other stores in Redis.
    ``max_bytes``: maximum size in bytes of each value in Redis, or of all values together in memory.
    ``lifetime_s``: lifetime in seconds of values that ``put`` stores.
    """

    def make() -> Store:
        if settings.REDIS_URL:
            return RedisStore(settings.REDIS_URL, namespace, max_bytes, lifetime_s)
        return MemoryStore(max_bytes, lifetime_s)

    return PerLoop(make)
