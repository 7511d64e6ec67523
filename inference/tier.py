"""The client of the inference tier. It knows which of the tier's addresses answer and how busy they are.

The inference tier is the group of servers that run the models for the API processes. About once a second, a probe asks
each address of the tier for its status. So units of work are not sent to an address that is gone, and an address that
is back is used again within seconds. An address counts as gone if it refuses a connection. It also counts as gone after
``MAX_MISSES`` probes in a row without an answer, unless it returned the result of a unit in between.

An address may belong to a load balancer. A connection that is kept open leads to the server that the balancer chose
when the connection was opened, even if that server is about to stop. So probes and retries use new connections. If a
stopping server answers a probe, the address is probed again at once, because the balancer may choose another server.

Threads: everything here belongs to one event loop, except ``Tier.gpus``.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client import Gauge

from inference.engine import EngineStats
from inference.errors import InferenceError
from inference.gpu import GpuReading
from inference.wire import CONTENT_TYPE, PREFIX, failure

logger = logging.getLogger(__name__)

PROBE_EVERY_S = 1.0
PROBE_TIMEOUT_S = 2.0
MAX_MISSES = 3
MAX_STATUS_REQUESTS = 5  # maximum number of requests of one probe, if a stopping server answers each of them
# What a probe raises if the address gives no usable answer.
NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError, InferenceError)
CONNECT_TIMEOUT_S = 2.0
KEEP_ALIVE_S = 4.0  # shorter than the 5 s of uvicorn and Ray, so that this side closes idle connections
READINGS_FRESH_S = 5.0

tier_replicas = Gauge("voice_tier_replicas", "Replicas of the inference tier that run", ["engine"])
tier_replicas_most = Gauge("voice_tier_replicas_most", "Replicas that the tier may have", ["engine"])

RETRIES_PER_UNIT = 0.2  # retries allowed per sent unit, including second copies of slow units
RETRIES_SAVED = 100.0  # maximum number of tokens; enough to retry all units of a replica that dies


class Lost(Exception):
    """Raised when a unit was sent but no result arrived, because of the tier or the network. A retry may succeed."""


class RetryBudget:
    """A token bucket that limits retries, so that they do not overload an inference tier that has lost servers.

    Each unit adds ``RETRIES_PER_UNIT`` tokens, and each retry takes one.
    """

    def __init__(self) -> None:
        self._saved = RETRIES_SAVED

    def earn(self) -> None:
        """Add the tokens for sending one unit."""
        self._saved = min(RETRIES_SAVED, self._saved + RETRIES_PER_UNIT)

    def take(self) -> bool:
        """Take a token for one retry. Return False if no token is left, that is, if the retry is not allowed."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


@dataclass
class Endpoint:
    """One address of the inference tier.

    ``ready``: names of the engines that are ready at this address.
    ``offered``: names of the engines that the last answer of this address listed, whether ready or not.
    ``under_way``: number of units that were sent to this address and have not been answered.
    ``misses``: number of unanswered probes since the address last answered a probe or returned a result.
    ``gone``: future that is done when the address counts as gone. The units that it has not answered are then lost.
    """

    url: str
    ready: frozenset[str] = frozenset()
    offered: frozenset[str] = frozenset()
    under_way: int = 0
    misses: int = 0
    gone: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def is_up(self, name: str) -> bool:
        return name in self.ready


class Tier:
    """The addresses of the inference tier, and the HTTP session that reaches them.

    Call ``start`` on the event loop that uses the tier. When the last user calls ``leave``, the session is closed.

    ``budget``: limits the retries to all addresses together.
    """

    def __init__(self, urls: list[str]) -> None:
        self.budget = RetryBudget()
        self._urls = [url.rstrip("/") for url in urls]
        self._users: set[str] = set()
        self._endpoints: list[Endpoint] = []
        self._session: aiohttp.ClientSession | None = None  # keeps its connections
        self._session_without_reuse: aiohttp.ClientSession | None = None
        self._probes: list[asyncio.Task[None]] = []
        self._first_probed: list[asyncio.Event] = []
        self._changed = asyncio.Event()
        self._readings: dict[str, dict[str, tuple[float, EngineStats]]] = {}
        self._replicas: dict[str, tuple[float, int, int]] = {}  # by engine: time of the report, running, maximum
        self._gpus: dict[str, tuple[float, GpuReading]] = {}

    async def start(self, user: str) -> None:
        """Start using the tier as ``user``, the name of an engine. Return after the first probe of every address."""
        self._users.add(user)
        if self._session is None:
            self._session = _session(aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S))
            self._session_without_reuse = _session(aiohttp.TCPConnector(limit=0, force_close=True))
            self._endpoints = [Endpoint(url) for url in self._urls]
            self._first_probed = [asyncio.Event() for _ in self._endpoints]
            loop = asyncio.get_running_loop()
            self._probes = [
                # The empty context separates the probes from the request that starts them, which they outlive.
                loop.create_task(self._keep_probing(endpoint, asked), context=contextvars.Context())
                for endpoint, asked in zip(self._endpoints, self._first_probed, strict=True)
            ]
        for asked in self._first_probed:
            await asked.wait()

    async def leave(self, user: str) -> None:
        """Stop using the tier as ``user``. Close the tier if no other user is left."""
        self._users.discard(user)
        sessions = [one for one in (self._session, self._session_without_reuse) if one is not None]
        if self._users or not sessions:
            return
        self._session = self._session_without_reuse = None
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        for session in sessions:
            await session.close()
        self._endpoints = []

    def is_up(self, name: str) -> bool:
        """Return True if the engine ``name`` is ready at an address."""
        return any(endpoint.is_up(name) for endpoint in self._endpoints)

    def lacks(self, name: str) -> bool:
        """Return True if the tier has answered, and none of its addresses lists the engine ``name``."""
        offered = [endpoint.offered for endpoint in self._endpoints if endpoint.offered]
        return bool(offered) and not any(name in names for names in offered)

    def pick(self, name: str, avoid: frozenset[str] = frozenset()) -> Endpoint | None:
        """Choose two random addresses where the engine ``name`` is ready, and return the less busy of them.

        Return None if the engine is not ready anywhere.

        ``avoid``: URLs of addresses that are chosen only if there are no others.
        """
        able = [endpoint for endpoint in self._endpoints if endpoint.is_up(name)]
        able = [endpoint for endpoint in able if endpoint.url not in avoid] or able
        if not able:
            return None
        return min(random.sample(able, min(2, len(able))), key=lambda endpoint: endpoint.under_way)

    async def change(self, timeout_s: float) -> None:
        """Wait until an engine gets ready or unready at any address, but for at most ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def send(self, endpoint: Endpoint, name: str, frame: bytes, *, is_retry: bool = False) -> bytes:
        """Send a unit once, and return the frame of its result.

        ``is_retry``: whether the unit was sent before. A retry uses a new connection.

        Raise ``Lost`` if no reply arrives, or the error that the reply describes.
        """
        posting = asyncio.ensure_future(self._post(endpoint, name, frame, is_retry=is_retry))
        endpoint.under_way += 1
        try:
            either: set[asyncio.Future[Any]] = {posting, endpoint.gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not posting.done():
                raise Lost(f"{endpoint.url} does not answer any more")
            status, body = posting.result()
        except aiohttp.ClientConnectorError as error:
            self._note_gone(endpoint)
            raise Lost(f"{endpoint.url} cannot be reached") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"{endpoint.url} closed the connection") from error
        finally:
            endpoint.under_way -= 1
            posting.cancel()
        if status != 200:
            raise failure(status, body)
        endpoint.misses = 0
        return body

    async def about(self, name: str) -> Mapping[str, Any] | None:
        """Return the tier's information about the models of the engine ``name``; None if it cannot be fetched."""
        endpoint = self.pick(name)
        if endpoint is None:
            return None
        try:
            answer = await self._get(endpoint, "about")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, InferenceError):
            return None
        about = answer.get(name)
        return about if isinstance(about, dict) else None

    def store_stats(self, name: str, process: str, stats: Mapping[str, Any]) -> None:
        """Store the state that a process of the tier has reported for the engine ``name``.

        ``stats``: the fields of ``EngineStats``.
        """
        self._readings.setdefault(name, {})[process] = (time.monotonic(), EngineStats.of(stats))

    def stats(self, name: str) -> EngineStats:
        """Return the state of the engine ``name``, combined from all processes that have reported recently.

        Counts and ``busy_s`` are summed, except for ``largest_batch``, which is the maximum. Waiting times, paces and
        utilisations are averaged.
        """
        since = time.monotonic() - READINGS_FRESH_S
        known = self._readings.get(name, {})
        for process in [process for process, (at, _stats) in known.items() if at < since]:
            del known[process]
        fresh = [stats for _at, stats in known.values()]
        return EngineStats(
            ready=self.is_up(name),
            queue_length=sum(one.queue_length for one in fresh),
            running=sum(one.running for one in fresh),
            units=sum(one.units for one in fresh),
            batches=sum(one.batches for one in fresh),
            largest_batch=max((one.largest_batch for one in fresh), default=0),
            busy_s=sum(one.busy_s for one in fresh),
            estimated_wait_s=sum(one.estimated_wait_s for one in fresh) / max(1, len(fresh)),
            backlog_s=sum(one.backlog_s for one in fresh) / max(1, len(fresh)),
            seconds_per_cost=sum(one.seconds_per_cost for one in fresh) / max(1, len(fresh)),
            utilisation=sum(one.utilisation for one in fresh) / max(1, len(fresh)),
            fastest_seconds_per_cost=sum(one.fastest_seconds_per_cost for one in fresh) / max(1, len(fresh)),
            cores=sum(one.cores for one in fresh),
            workers=sum(one.workers for one in fresh),
        )

    def growth(self, name: str) -> float:
        """Return the engine's maximum number of replicas, divided by the present number; 1 if they are unknown."""
        at, running, most = self._replicas.get(name, (float("-inf"), 1, 1))
        return most / running if time.monotonic() - at < READINGS_FRESH_S and most > running > 0 else 1.0

    def gpus(self) -> list[GpuReading]:
        """Return the recent readings of the tier's GPUs. This method may be called in any thread."""
        since = time.monotonic() - READINGS_FRESH_S
        return [reading for at, reading in list(self._gpus.values()) if at >= since]

    def _note_machines(self, status: Mapping[str, Any]) -> None:
        """Store the replica counts and GPU readings of a status. A tier of an earlier version sends neither."""
        now = time.monotonic()
        for name, count in status.get("replicas", {}).items():
            running = int(count["running"])
            most = int(count["most"])
            self._replicas[name] = (now, running, most)
            tier_replicas.labels(name).set(running)
            tier_replicas_most.labels(name).set(most)
        for fields in status.get("gpus", []):
            reading = GpuReading(str(fields["gpu"]), float(fields["percent"]), float(fields["memory_percent"]))
            self._gpus[reading.gpu] = (now, reading)

    async def _post(self, endpoint: Endpoint, name: str, frame: bytes, *, is_retry: bool) -> tuple[int, bytes]:
        session = self._session_without_reuse if is_retry else self._session
        assert session is not None
        headers = {"Content-Type": CONTENT_TYPE}
        async with session.post(f"{endpoint.url}{PREFIX}{name}", data=frame, headers=headers) as response:
            return response.status, await response.read()

    async def _get(self, endpoint: Endpoint, what: str) -> dict[str, Any]:
        assert self._session_without_reuse is not None
        url = f"{endpoint.url}{PREFIX}{what}"
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        async with self._session_without_reuse.get(url, timeout=timeout) as response:
            body = await response.read()
            if response.status != 200:
                raise failure(response.status, body)
            answer = json.loads(body)
            if not isinstance(answer, dict):
                raise ValueError(f"{endpoint.url} is no inference tier")
            return answer

    async def _keep_probing(self, endpoint: Endpoint, asked: asyncio.Event) -> None:
        while True:
            try:
                await self._probe(endpoint)
            except Exception:  # the task must continue, or the state of the address would never change again
                logger.exception("cannot probe the inference tier", extra={"address": endpoint.url})
            asked.set()
            await asyncio.sleep(PROBE_EVERY_S * random.uniform(0.8, 1.2))

    async def _probe(self, endpoint: Endpoint) -> None:
        try:
            status = await self._status(endpoint)
            engines = {} if status["draining"] else status["engines"]
            self._note_machines(status)
            ready = set()
            later = status.get("later", {})
            for name, readings in engines.items():
                for reading in readings:
                    process = reading["process"]
                    self.store_stats(name, process, {**reading, **later.get(name, {}).get(process, {})})
                    ready |= {name} if reading["ready"] else set()
        except aiohttp.ClientConnectorError:
            self._note_gone(endpoint)
        except NO_ANSWER:
            endpoint.misses += 1
            if endpoint.misses >= MAX_MISSES:
                self._note_gone(endpoint)
        else:
            endpoint.misses = 0
            endpoint.offered = frozenset(status["engines"])
            self._note_ready(endpoint, frozenset(ready))

    async def _status(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the status of a server at ``endpoint``. If a stopping server answers, try to reach another one.

        Return the stopping server's status if no other server can be reached. If another server is slow or its answer
        is invalid, raise the error.
        """
        status = await self._get(endpoint, "status")
        for _ in range(MAX_STATUS_REQUESTS - 1):
            if not status["draining"]:
                break
            try:
                status = await self._get(endpoint, "status")
            except TimeoutError:
                raise  # another server may be there, but slow
            except (aiohttp.ClientError, OSError):
                break  # no other server is there, so use the status of the stopping server
        return status

    def _note_gone(self, endpoint: Endpoint) -> None:
        self._note_ready(endpoint, frozenset())
        if not endpoint.gone.done():
            endpoint.gone.set_result(None)
        endpoint.gone = asyncio.get_running_loop().create_future()

    def _note_ready(self, endpoint: Endpoint, ready: frozenset[str]) -> None:
        if ready == endpoint.ready:
            return
        extra = {"address": endpoint.url, "engines": sorted(ready)}
        logger.log(logging.INFO if ready >= endpoint.ready else logging.WARNING, "inference tier", extra=extra)
        endpoint.ready = ready
        self._changed.set()
        self._changed = asyncio.Event()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
