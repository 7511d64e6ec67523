"""Life cycle of this process: load the engines, serve requests, drain and stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.utils.translation import gettext as _

from capacity.concurrent_users import leases
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.per_loop import PerLoop
from inference import runtime
from inference.errors import NotOffered
from usage.ledger_writer import ledger

logger = logging.getLogger(__name__)

DRAINING_RETRY_AFTER_S = 1.0
RETRY_EVERY_S = 1.0  # as often as the tier is probed; a retry costs nothing while the tier does not have the engine


class Lifecycle:
    """State of this process.

    ``draining``: True if the process refuses new work because it is about to stop.
    ``stopping``: event that is set when draining begins, so that open sockets and other long tasks can end.
    ``requests``: number of requests under way, including open sockets.
    ``failures``: error messages of the engines that did not load and have no fallback, by engine name.
    """

    def __init__(self) -> None:
        self.draining = False
        self.stopping = asyncio.Event()
        self.requests = 0
        self.failures: dict[str, str] = {}
        self._loading: asyncio.Task[None] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._logged: dict[str, str] = {}  # the last logged error of each engine that has not loaded
        self._nothing_under_way = asyncio.Event()
        self._nothing_under_way.set()

    @property
    def loaded(self) -> bool:
        """True if loading has ended and every engine has been loaded or replaced by its fallback."""
        return self._loading is not None and self._loading.done() and not self.failures

    def start_loading(self) -> asyncio.Task[None]:
        """Load the engines in the background, and return the task that loads them.

        If some engines failed to load, another call tries them again. Engines that are ready are not loaded again.

        Engines of an inference tier that have been replaced by their fallback are tried again until they load, because
        the tier may be about to start them. An engine of this process is not: the usual causes, such as a damaged file,
        do not pass, and each attempt to load a model takes seconds of the processor.
        """
        if self._loading is None or (self._loading.done() and self.failures):
            self._loading = asyncio.create_task(self._load())
        return self._loading

    async def admit(self, deadline: float) -> None:
        """Wait until the engines have loaded, at most until ``deadline`` (in seconds of ``time.monotonic()``).

        Raise ``ApiError`` 503 if the process is draining, and ``TimeoutError`` (answered with 503) at the deadline.
        """
        if self.draining:
            message = _("This server is shutting down. Try again.")
            raise ApiError(ErrorCode.OVER_CAPACITY, message, retry_after=DRAINING_RETRY_AFTER_S)
        if self._loading is None:
            self.start_loading()
        if self._loading is not None and not self._loading.done():
            async with asyncio.timeout(deadline - time.monotonic()):
                await asyncio.shield(self._loading)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a request as under way while the block runs."""
        self.requests += 1
        self._nothing_under_way.clear()
        try:
            yield
        finally:
            self.requests -= 1
            if self.requests == 0:
                self._nothing_under_way.set()

    async def drain(self, grace_s: float) -> bool:
        """Refuse new work, and wait at most ``grace_s`` seconds for running requests. Return True if all have ended."""
        self.draining = True
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._nothing_under_way.wait()
        return self.requests == 0

    async def close(self) -> None:
        """Stop loading, release this process's user slots, and close the engines and the ledger.

        Call this only after the last request has ended.
        """
        for task in (self._loading, self._retrying):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
        await leases().close()
        await runtime.close_all()
        await ledger().close()

    async def _load(self) -> None:
        self.failures.clear()
        await asyncio.gather(*(self._load_one(name) for name in runtime.names()))
        # Garbage collection stops all threads. Exclude the loaded objects, which live as long as the process.
        gc.collect()
        gc.freeze()
        if settings.VOICE_INFERENCE_URL and (self._retrying is None or self._retrying.done()):
            self._retrying = asyncio.create_task(self._retry_replaced())

    async def _retry_replaced(self) -> None:
        """Load the engines that were replaced by their fallback, until all of them are ready."""
        while replaced := runtime.replaced():
            await asyncio.sleep(RETRY_EVERY_S)
            await asyncio.gather(*(self._load_one(name) for name in replaced), return_exceptions=True)

    async def _load_one(self, name: str) -> None:
        """Load an engine. Log an error only if it is not the engine's last logged error."""
        started = time.monotonic()
        if name not in self._logged:
            logger.info("loading an engine", extra={"engine": name})
        try:
            await runtime.load(name)
        except Exception as error:  # if one engine fails to load, the others must still load
            reason = str(error) or type(error).__name__
            has_fallback = runtime.fall_back(name)
            if not has_fallback:
                self.failures[name] = reason
            if self._logged.get(name) == reason:
                return
            self._logged[name] = reason
            if has_fallback and isinstance(error, NotOffered):
                logger.info("the inference tier does not offer an engine", extra={"engine": name})
            else:
                logger.error("an engine did not load", exc_info=error, extra={"engine": name})
        else:
            self._logged.pop(name, None)
            seconds = round(time.monotonic() - started, 2)
            logger.info("engine ready", extra={"engine": name, "seconds": seconds})


lifecycle = PerLoop(Lifecycle)
