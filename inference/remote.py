"""An engine whose model runs in the inference tier. It sends units of work to the tier over HTTP.

The inference tier is the group of servers that run the models, at one or more addresses. A unit, such as a speech
segment or a sentence, can safely be sent again. A ``RetryBudget`` limits the retries in these three cases:

- The unit is lost, because a replica has died or its address no longer answers.
- The unit takes much longer than usual. It is then sent to a second address too, and the first result is used.
- The address has no capacity for the first unit of a request. The unit is then sent to another address.

Two other kinds of retry do not use the budget, because the refused unit caused no work in the tier:

- A server that is about to stop has refused the unit.
- The tier has no capacity for a later unit of a request.

The first unit of a request fails at once if no address is ready for it. Later units (``Unit.admitted``) wait up to
``PATIENCE_S`` seconds for an address. While only stopping servers answer, later units are retried for as long.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, Generic, TypeVar

from django.conf import settings
from prometheus_client import Counter

from core import tracing
from inference.engine import EngineStats, Unit
from inference.errors import DeadlineExceeded, Draining, EngineUnavailable, InferenceError, NotOffered, OverCapacity
from inference.ordered import in_order
from inference.tier import Endpoint, Lost, Tier
from inference.wire import Codec, PackedUnit, WireError, parse

AHEAD = 16
MAX_TRIES = 4
PATIENCE_S = 10.0
FULL_PAUSE_S = 0.25  # minimum pause before an admitted unit is sent again to a tier that had no capacity
SLOWEST_GUESS_S = 5.0  # time after which a unit counts as slow, until ``MIN_MEASURED`` units have been timed
FASTEST_HEDGE_S = 1.0
MIN_MEASURED = 20

U = TypeVar("U", bound=Unit)
R = TypeVar("R")

units_again = Counter("voice_units_again", "Units sent to the inference tier another time", ["engine", "why"])


class Pace:
    """Estimates how long units take: a smoothed mean and mean deviation, like TCP's estimate of round-trip times."""

    def __init__(self) -> None:
        self._number = 0
        self._mean_s = self._deviation_s = 0.0

    def update(self, seconds: float) -> None:
        """Update the estimate with the duration of one unit."""
        self._number += 1
        if self._number == 1:
            self._mean_s = seconds
            self._deviation_s = seconds / 2
            return
        self._deviation_s += (abs(seconds - self._mean_s) - self._deviation_s) / 4
        self._mean_s += (seconds - self._mean_s) / 8

    @property
    def slow_s(self) -> float:
        """The time in seconds after which a unit counts as slow, because something is probably wrong."""
        if self._number < MIN_MEASURED:
            return SLOWEST_GUESS_S
        return max(FASTEST_HEDGE_S, self._mean_s + 4 * self._deviation_s)


class RemoteEngine(Generic[U, R]):
    """An ``Engine[U, R]`` that runs its units in the inference tier.

    ``name``: name of the engine in the tier.
    ``codec``: packs the units and unpacks the results.
    """

    def __init__(self, name: str, codec: Codec[U, R], tier: Tier) -> None:
        self._name = name
        self._codec = codec
        self._tier = tier
        self._pace = Pace()
        self._has_learnt = False

    async def load(self) -> None:
        """Connect to the tier, and fetch the information about its models.

        Raise ``EngineUnavailable`` if the tier does not answer, or if it does not have this engine ready;
        ``NotOffered`` if it does not have this engine at all.
        """
        await self._tier.start(self._name)
        if not self._tier.is_up(self._name):
            if self._tier.lacks(self._name):
                raise NotOffered(f"the inference tier does not offer {self._name}")
            raise _unavailable()
        if not self._has_learnt:
            about = await self._tier.about(self._name)
            if about is None:
                raise _unavailable()
            self._codec.learn(about)
            self._has_learnt = True

    async def close(self) -> None:
        await self._tier.leave(self._name)

    def stream(self, units: AsyncIterator[U]) -> AsyncIterator[R]:
        return in_order(units, self.submit, ahead=AHEAD)

    def stats(self) -> EngineStats:
        return self._tier.stats(self._name)

    async def submit(self, unit: U) -> R:
        """Run a unit in the tier, and return its result. Raise a subclass of ``InferenceError`` if this fails."""
        await self._tier.start(self._name)
        self._tier.budget.earn()
        left_s = None if unit.deadline is None else unit.deadline - time.monotonic()
        try:
            with tracing.span(f"unit {self._name}", tracing.SpanRole.CLIENT, engine=self._name):
                async with asyncio.timeout(left_s):
                    header, payload = await self._submit_with_retries(
                        PackedUnit(self._codec, unit), is_admitted=unit.admitted
                    )
        except TimeoutError as error:
            raise DeadlineExceeded(1.0) from error
        try:
            unit.queued_ms = float(header["queued_ms"])
            self._tier.store_stats(self._name, header["process"], {**header["stats"], **header.get("later", {})})
            return self._codec.unpack_result(header["result"], payload)
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable("the inference tier answers in another version's terms") from error

    async def _submit_with_retries(self, packed: PackedUnit, *, is_admitted: bool) -> tuple[Mapping[str, Any], bytes]:
        """Send a unit until an attempt succeeds or no further attempt is allowed.

        Return the header and the payload of the result.
        """
        tries = 0
        failures = 0
        gives_up_at: float | None = None
        tried = frozenset[str]()
        while True:
            endpoint = self._tier.pick(self._name, tried) or await self._returned(PATIENCE_S if is_admitted else 0)
            if endpoint is None:
                raise _unavailable()
            tries += 1
            tried = tried | {endpoint.url}
            try:
                return await self._hedged(packed, endpoint, is_retry=tries > 1)
            except (Lost, EngineUnavailable) as error:
                if is_admitted and isinstance(error, Draining):
                    gives_up_at = gives_up_at or time.monotonic() + PATIENCE_S
                    may_retry = time.monotonic() < gives_up_at
                else:
                    gives_up_at = None
                    failures += 1
                    may_retry = failures < MAX_TRIES and (isinstance(error, Draining) or self._tier.budget.take())
                if not may_retry:
                    raise (error if isinstance(error, EngineUnavailable) else _unavailable()) from error
                units_again.labels(self._name, "lost").inc()
                await asyncio.sleep(random.uniform(0, 0.05 * tries))  # so that lost units are not all sent at once
            except DeadlineExceeded:
                raise
            except OverCapacity as error:
                if is_admitted:
                    gives_up_at = None
                    await asyncio.sleep(FULL_PAUSE_S * random.uniform(1, 2))
                    continue
                other = self._tier.pick(self._name, tried)
                if other is None or other.url in tried or not self._tier.budget.take():
                    raise OverCapacity(error.retry_after_s) from error
                units_again.labels(self._name, "full").inc()

    async def _returned(self, patience_s: float) -> Endpoint | None:
        """Wait up to ``patience_s`` seconds for an address where the engine is ready. Return None if there is none."""
        until = time.monotonic() + patience_s
        while (left_s := until - time.monotonic()) > 0:
            await self._tier.change(left_s)
            if endpoint := self._tier.pick(self._name):
                return endpoint
        return None

    async def _hedged(
        self, packed: PackedUnit, endpoint: Endpoint, *, is_retry: bool
    ) -> tuple[Mapping[str, Any], bytes]:
        """Send a unit to ``endpoint``. If there is no reply in time, send the unit to another address too.

        Return the header and the payload of the first result. If both attempts fail, raise the error of the later one.
        """
        tries = {asyncio.ensure_future(self._try(packed, endpoint, is_retry=is_retry))}
        try:
            done, _pending = await asyncio.wait(tries, timeout=self._pace.slow_s)
            second = None if done else self._tier.pick(self._name, frozenset({endpoint.url}))
            if second is not None and self._tier.budget.take():
                units_again.labels(self._name, "slow").inc()
                tries.add(asyncio.ensure_future(self._try(packed, second, is_retry=True)))
            while True:
                done, pending = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
                succeeded = [finished for finished in done if finished.exception() is None]
                if succeeded or not pending:
                    return (succeeded or list(done))[0].result()
                tries = pending
        finally:
            for one in tries:
                one.cancel()
            await asyncio.gather(*tries, return_exceptions=True)

    async def _try(self, packed: PackedUnit, endpoint: Endpoint, *, is_retry: bool) -> tuple[Mapping[str, Any], bytes]:
        started = time.monotonic()
        body = await self._tier.send(endpoint, self._name, packed.frame(), is_retry=is_retry)
        self._pace.update(time.monotonic() - started)
        try:
            return parse(body)
        except WireError as error:
            raise EngineUnavailable(str(error)) from error


def _unavailable() -> InferenceError:
    return EngineUnavailable("The speech models cannot be reached at the moment. Try again.")


@cache
def shared_tier() -> Tier:
    """Return the client of the inference tier at ``VOICE_INFERENCE_URL``, which all engines of this process share."""
    return Tier(settings.VOICE_INFERENCE_URL)
