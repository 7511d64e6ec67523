"""Circuit breaker for Redis: an outage is noticed once, and then no request waits for Redis until it is back.

Every call on a request's path goes through ``RedisHealth.call``. The first calls to a Redis that does not answer wait
for ``CALL_TIMEOUT_S``. After that, calls fail at once with ``RedisUnavailable`` and the callers do without, while one
task checks every ``PROBE_EVERY_S`` whether Redis is back.

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
CALL_TIMEOUT_S = 1.5  # enough for one try and the beginning of a second on a fresh connection
PROBE_EVERY_S = 1.0

T = TypeVar("T")


class RedisUnavailable(OSError):
    """Redis does not answer."""


def redis_options() -> dict[str, Any]:
    """Return the options of every asynchronous Redis client here. They keep waits short while Redis is unavailable.

    The clients retry once, without a pause: a restart of Redis may have closed an idle connection. The retries that
    redis-py makes by default take up to seven seconds.
    """
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    timeouts = {"socket_timeout": SOCKET_TIMEOUT_S, "socket_connect_timeout": SOCKET_TIMEOUT_S}
    return {**timeouts, "retry": Retry(NoBackoff(), 1)}


class RedisHealth:
    """A circuit breaker for the Redis at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        return self._probing is not None

    async def call(self, make: Callable[[], Awaitable[T]]) -> T:
        """Await ``make()`` and return its result.

        Raises ``RedisUnavailable`` at once while Redis is known to be unavailable, and after ``CALL_TIMEOUT_S`` without
        an answer. Other failures raise the client's own error (redis-py's errors, ``StorageError``, ``OSError``).
        """
        if self.is_away:
            raise RedisUnavailable("Redis does not answer")
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await make()
        except TimeoutError as error:
            self._note_away(error)
            raise RedisUnavailable("Redis does not answer") from error
        except Exception as error:
            if _is_about_the_connection(error):
                self._note_away(error)
            raise

    async def ping(self) -> None:
        """Check that Redis answers. Raises the errors of ``call``."""
        await self.call(self._ping)

    async def _ping(self) -> None:
        import redis.asyncio  # slow to import, so only where it is used

        if self._client is None:
            self._client = redis.asyncio.from_url(self._url, **redis_options())
        await self._client.ping()

    def _note_away(self, error: Exception) -> None:
        if self._probing is None:
            logger.warning("Redis is away", extra={"reason": str(error)[:200]})
            # An empty context: the probe belongs to no request, so none can cancel it.
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
        except Exception:  # noqa: BLE001 - after any error Redis is not back; the outage has been logged
            return False
        return True


def _is_about_the_connection(error: BaseException | None) -> bool:
    """Return True if the error or a cause of it means that Redis cannot be reached, not that it refused a command."""
    from redis import exceptions as redis_errors

    while error is not None:
        if isinstance(error, redis_errors.ConnectionError | redis_errors.TimeoutError | OSError):
            return True
        error = error.__cause__ or error.__context__
    return False


_healths: PerLoop[dict[str, RedisHealth]] = PerLoop(dict)


def redis_health(url: str) -> RedisHealth:
    """Return this event loop's ``RedisHealth`` for that Redis."""
    healths = _healths()
    if url not in healths:
        healths[url] = RedisHealth(url)
    return healths[url]


async def unless_unavailable(call: Awaitable[T], warning: str) -> T | None:
    """Await ``call``, for limits that do not apply while Redis is unavailable. Return None if Redis did not serve it.

    ``warning``: the message to log, except while the outage is known, because ``RedisHealth`` has logged it.
    """
    try:
        return await call
    except RedisUnavailable:
        return None
    except Exception as error:
        # The libraries' errors by their module: redis-py is imported only where it is used.
        if not isinstance(error, OSError) and not type(error).__module__.startswith(("redis", "limits")):
            raise
        logger.warning(warning, exc_info=True)
        return None
