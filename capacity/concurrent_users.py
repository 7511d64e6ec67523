"""Count concurrent users: distinct end users with a request in progress or a stream open, in all processes.

    async with concurrency_slot(client_id, user, feature):
        ...

- A request only changes a counter in this process's memory.
- While a process serves any end user, its heartbeat publishes the served end users every few seconds as a lease. Leases
  are kept in Redis or, without Redis, in the database.
- If a process is killed, its lease expires, so that its end users no longer count. Leases expire by the clock of Redis
  or of the database, because the clocks of the machines may differ.

Threads: ``Leases`` belongs to one event loop. Its heartbeat accesses the store from another thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import socket
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol

from channels.db import database_sync_to_async
from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from prometheus_client import Gauge

from capacity.deployment import max_users
from capacity.models import ProcessLease
from capacity.presence import Presence, ServedUsers, merged, person
from core.errors import DomainError
from core.per_loop import PerLoop
from core.redis_health import blocking_client
from inference import gpu, runtime
from rollout.feature import Feature

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 4  # three heartbeats in a row may fail before the lease of a live process expires

concurrent_users = Gauge("voice_concurrent_users", "Distinct end users with work in flight in this process")


class TooManyUsers(DomainError):
    """Raised for an additional end user when the limit of concurrent end users has been reached."""


def beat_s() -> float:
    """Return the seconds between two heartbeats."""
    return float(settings.VOICE_LEASE_S) / BEATS_PER_LEASE


def process_name() -> str:
    """Return a unique name for this process. The host name and process id alone may be equal in two containers."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Store(Protocol):
    """Keeps the leases of all processes."""

    def publish(self, process: str, presence: Presence, lease_s: float) -> dict[str, Presence]:
        """Renew a process's lease for ``lease_s`` seconds, or withdraw it if ``presence`` is empty.

        Return all unexpired leases, by the name of the process.
        """

    def read(self) -> dict[str, Presence]:
        """Return all unexpired leases, by the name of the process."""


class DatabaseStore:
    def publish(self, process: str, presence: Presence, lease_s: float) -> dict[str, Presence]:
        if presence.is_empty:
            ProcessLease.objects.filter(process=process).delete()
        else:
            # The database computes the expiry time, because the clocks of the pods may differ.
            expires_at: Any = Now() + timedelta(seconds=lease_s)
            lease = ProcessLease(process=process, served=presence.as_json(), expires_at=expires_at)
            ProcessLease.objects.bulk_create(
                [lease], update_conflicts=True, unique_fields=["process"], update_fields=["served", "expires_at"]
            )
        return self.read()

    def read(self) -> dict[str, Presence]:
        rows = ProcessLease.objects.filter(expires_at__gt=Now()).values_list("process", "served")
        return {process: Presence.from_json(served) for process, served in rows}

    def forget_expired(self) -> None:
        ProcessLease.objects.filter(expires_at__lte=Now()).delete()


# KEYS: a sorted set of processes by the expiry times of their leases; a hash of their presences.
# ARGV: a process ("" only reads); its presence ("" withdraws the lease); the length of the lease in milliseconds.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], dead)
  redis.call('HDEL', KEYS[2], dead)
end
if ARGV[1] ~= '' then
  if ARGV[2] == '' then
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('HDEL', KEYS[2], ARGV[1])
  else
    redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  end
end
return redis.call('HGETALL', KEYS[2])
"""
_KEYS = ("{voice:leases}:expiry", "{voice:leases}:served")  # the braces keep both keys on one node of a cluster


class RedisStore:
    def __init__(self, url: str) -> None:
        client = blocking_client(url)
        self._run = client.register_script(_SCRIPT)

    def publish(self, process: str, presence: Presence, lease_s: float) -> dict[str, Presence]:
        served = "" if presence.is_empty else json.dumps(presence.as_json())
        return self._parsed(self._run(keys=_KEYS, args=[process, served, round(1000 * lease_s)]))

    def read(self) -> dict[str, Presence]:
        return self._parsed(self._run(keys=_KEYS, args=["", "", 0]))

    @staticmethod
    def _parsed(flat: list[str]) -> dict[str, Presence]:
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return {process: Presence.from_json(json.loads(served)) for process, served in pairs}


@lru_cache
def _redis(url: str) -> RedisStore:
    return RedisStore(url)


def store() -> Store:
    return _redis(settings.REDIS_URL) if settings.REDIS_URL else DatabaseStore()


def now_served() -> Presence:
    """Return the end users served by all processes, as of their last heartbeats.

    If the leases cannot be read, raise the error of Redis or of the database.
    """
    return merged(store().read().values())


class Leases:
    """The end users served by this process, and the heartbeat that publishes them."""

    def __init__(self) -> None:
        self.process = process_name()
        self._served = ServedUsers()
        self._elsewhere: frozenset[str] = frozenset()
        self._published_at = time.monotonic()
        self._is_published = False
        self._beating: asyncio.Task[None] | None = None

    def admit(self, someone: str) -> None:
        """Raise ``TooManyUsers`` if this end user would exceed the limit.

        ``someone``: the end user, as returned by ``person``. An end user who is already being served is admitted.
        """
        most = max_users()
        here = self._served.people
        if not most or someone in here or someone in self._elsewhere:
            return
        if len(self._elsewhere | here.keys()) >= most:
            message = _("{most} users are being served, which is the limit. Try again.").format(most=most)
            raise TooManyUsers(message, retry_after_s=beat_s())

    def enter(self, someone: str, feature: Feature) -> None:
        """Count a request or connection of an end user. Start the heartbeat unless it is running."""
        self._served.enter(someone, feature)
        concurrent_users.set(len(self._served.people))
        if self._beating is None:
            # An empty context, because the task outlives the request that starts it.
            loop = asyncio.get_running_loop()
            self._beating = loop.create_task(self._beat(), context=contextvars.Context())

    def leave(self, someone: str, feature: Feature) -> None:
        """Stop counting a request or connection that ``enter`` counted."""
        self._served.leave(someone, feature)
        concurrent_users.set(len(self._served.people))

    @property
    def users_here(self) -> int:
        """The number of end users that this process serves now."""
        return len(self._served.people)

    @property
    def speaking_here(self) -> int:
        """The number of requests and connections for text to speech that this process serves now."""
        return self._served.speaking

    def note_fallback(self) -> None:
        """Count a reply that eSpeak NG speaks instead of a neural voice."""
        self._served.note_fallback()

    async def close(self) -> None:
        """Stop the heartbeat and withdraw the lease."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None
        if self._is_published:
            with suppress(Exception):  # the lease expires by itself
                await self._publish(Presence())

    async def _beat(self) -> None:
        """Publish the served end users at every heartbeat. End when nobody is served and the lease is withdrawn."""
        while True:
            await asyncio.sleep(beat_s())
            try:
                await self._publish(self._served.take_busiest())
            except Exception:
                logger.warning("the concurrent users cannot be published", exc_info=True)
                if time.monotonic() - self._published_at > settings.VOICE_LEASE_S:
                    self._elsewhere = frozenset()  # too old for a decision to refuse end users
                continue
            if not self._is_published and not self._served.people:
                self._elsewhere = frozenset()
                self._beating = None
                return

    async def _publish(self, busiest: Presence) -> None:
        is_published, known = await database_sync_to_async(_publish, thread_sensitive=False)(self.process, busiest)
        self._is_published = is_published
        self._published_at = time.monotonic()
        others = (presence for process, presence in known.items() if process != self.process)
        self._elsewhere = merged(others).together


def _publish(process: str, busiest: Presence) -> tuple[bool, dict[str, Presence]]:
    presence = busiest.with_gpu(gpu.busiest(runtime.gpus()) if busiest.together else None)
    return not presence.is_empty, store().publish(process, presence, settings.VOICE_LEASE_S)


leases = PerLoop(Leases)


class ConcurrencySlot:
    """A request or connection of one end user. It counts from ``begin`` until the first call of ``release``."""

    def __init__(self, client_id: int, user: str, feature: Feature) -> None:
        self._someone = person(client_id, user)
        self._feature = feature
        self._leases: Leases | None = None

    async def begin(self) -> None:
        """Count the end user as being served. Raise ``TooManyUsers`` if that would exceed the limit."""
        held = leases()
        held.admit(self._someone)
        held.enter(self._someone, self._feature)
        self._leases = held

    def release(self) -> None:
        """Stop counting. Further calls have no effect."""
        if self._leases is not None:
            self._leases.leave(self._someone, self._feature)
            self._leases = None

    async def __aenter__(self) -> ConcurrencySlot:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def concurrency_slot(client_id: int, user: str, feature: Feature) -> ConcurrencySlot:
    """Return a context manager that counts an end user as being served.

    Entering it raises ``TooManyUsers`` if the end user would exceed the limit.
    """
    return ConcurrencySlot(client_id, user, feature)


async def admit(client_id: int, user: str) -> None:
    """Raise ``TooManyUsers`` if ``concurrency_slot`` would raise it for this end user now. Count nothing."""
    leases().admit(person(client_id, user))
