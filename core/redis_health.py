"""A circuit breaker for Redis. Once an outage is known, requests no longer wait for Redis.

API requests make their Redis calls with ``RedisHealth.call``. The first calls in an outage fail within
``CALL_TIMEOUT_S`` seconds. From then on, calls fail at once with ``RedisUnavailable``, and their callers either do
without Redis or report the outage. A task checks every ``PROBE_EVERY_S`` seconds whether Redis is back.

Threads: a ``RedisHealth`` belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from core.per_loop import PerLoop

logger = logging.getLogger(__name__)

SOCKET_TIMEOUT_S = 1.0
CALL_TIMEOUT_S = 1.5  # long enough for a retry on a new connection after the first attempt has timed out
PROBE_EVERY_S = 1.0
BLOCKING_TIMEOUT_S = 2.0  # of synchronous clients

T = TypeVar("T")


class RedisUnavailable(OSError):
    """Raised when Redis does not answer."""


def redis_options() -> dict[str, Any]:
    """Return the options for the service's asynchronous Redis clients."""
    from redis.asyncio.retry import Retry

    return _options(Retry, SOCKET_TIMEOUT_S)


def blocking_client(url: str) -> Any:
    """Return a synchronous Redis client, for code that runs in threads. It decodes responses to text."""
    import redis  # slow to import, so only where it is used
    from redis.retry import Retry

    client: Any = redis.Redis.from_url(url, decode_responses=True, **_options(Retry, BLOCKING_TIMEOUT_S))
    return client


def _options(retry: Callable[[Any, int], Any], timeout_s: float) -> dict[str, Any]:
    """Return the options of a Redis client.

    The timeouts are short, so that requests do not wait long while Redis is unavailable. A failed call is retried once,
    without a pause, because a restart of Redis may have closed an idle connection. By default, redis-py would retry for
    up to seven seconds.

    ``retry``: redis-py's class ``Retry`` for asynchronous or for synchronous clients.
    """
    from redis.backoff import NoBackoff

    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": retry(NoBackoff(), 1)}


class RedisHealth:
    """A circuit breaker for the Redis server at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_unavailable(self) -> bool:
        """Whether Redis is known to be unavailable."""
        return self._probing is not None

    async def call(self, make: Callable[[], Awaitable[T]]) -> T:
        """Await the Redis call that ``make`` creates, and return its result.

        Raise ``RedisUnavailable`` at once while Redis is known to be unavailable, or after ``CALL_TIMEOUT_S`` without
        an answer. Errors of the client libraries are raised unchanged (redis-py's errors, ``StorageError``,
        ``OSError``).
        """
        if self.is_unavailable:
            raise RedisUnavailable("Redis does not answer")
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await make()
        except TimeoutError as error:
            self._note_unavailable(error)
            raise RedisUnavailable("Redis does not answer") from error
        except Exception as error:
            if _is_about_the_connection(error):
                self._note_unavailable(error)
            raise

    async def ping(self) -> None:
        """Check that Redis answers. Raise the errors of ``call`` if Redis does not answer."""
        await self.call(self._ping)

    async def _ping(self) -> None:
        import redis.asyncio  # slow to import, so imported only where it is used

        if self._client is None:
            self._client = redis.asyncio.from_url(self._url, **redis_options())
        await self._client.ping()

    def _note_unavailable(self, error: Exception) -> None:
        if self._probing is None:
            logger.warning("Redis is unavailable", extra={"reason": str(error)[:200]})
            # The empty context separates the probe from the request that starts it, so the request cannot cancel it.
            loop = asyncio.get_running_loop()
            self._probing = loop.create_task(self._probe(), context=contextvars.Context())

    async def _probe(self) -> None:
        is_back = False
        while not is_back:
            await asyncio.sleep(PROBE_EVERY_S)
            is_back = await self._answers()
        logger.warning("Redis is back")
        self._probing = None

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._ping()
        except Exception:  # noqa: BLE001 - any error means that Redis is not back; the outage has been logged
            return False
        return True


def _is_about_the_connection(error: BaseException | None) -> bool:
    """Return True if the error, or one of its causes, means that Redis cannot be reached.

    Return False if Redis has refused a command, because it can then be reached.
    """
    from redis import exceptions as redis_errors

    while error is not None:
        if isinstance(error, redis_errors.ConnectionError | redis_errors.TimeoutError | OSError):
            return True
        error = error.__cause__ or error.__context__
    return False


_healths: PerLoop[dict[str, RedisHealth]] = PerLoop(dict)


def redis_health(url: str) -> RedisHealth:
    """Return the ``RedisHealth`` of the running event loop for the Redis server at ``url``."""
    healths = _healths()
    if url not in healths:
        healths[url] = RedisHealth(url)
    return healths[url]


async def unless_unavailable(call: Awaitable[T], warning: str) -> T | None:
    """Await ``call``, which uses Redis, and return its result; None if Redis is unavailable.

    ``warning``: message to log if the call fails. It is not logged if the outage is already known.
    """
    try:
        return await call
    except RedisUnavailable:
        return None
    except Exception as error:
        # Recognise the libraries' errors by the module of their class, because importing redis-py here would be slow.
        if not isinstance(error, OSError) and not type(error).__module__.startswith(("redis", "limits")):
            raise
        logger.warning(warning, exc_info=True)
        return None
