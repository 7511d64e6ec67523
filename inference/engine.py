"""The one face that engines show: units of speech work go in, results come out.

A unit is pure: it holds all that its result depends on, so it may be batched with anybody's, run anywhere, and run
again after a failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar


@dataclass(kw_only=True)
class Unit:
    """``deadline``: in ``time.monotonic()`` seconds, after which nobody wants the result.
    ``live``: someone is listening right now (realtime); goes ahead of file work.
    ``admitted``: part of a request whose first unit was already accepted, so it waits instead of being refused.
    ``slack_s``: how long nobody misses the result: what comes before it is still being heard. Others go first.
    ``queued_ms``: filled in by the batcher: how long the unit waited for its batch.
    ``origin``: at the tier, which request of another process it belongs to (``core.tracing.origin``)."""

    deadline: float | None = None
    live: bool = False
    admitted: bool = False
    slack_s: float = 0.0
    queued_ms: float = 0.0
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """The unit's cost relative to the engine's other units, for estimating waits: seconds of audio, or the engine's
        own measure.
        """
        return 1.0


@dataclass(frozen=True)
class EngineStats:
    """A reading of one engine. Times in seconds; ``estimated_wait_s`` is what a unit submitted now would wait,
    ``backlog_s`` how long after it is first missed the latest of the units that wait or run will be done,
    ``seconds_per_cost`` what a unit's cost comes to at the present pace, 0 while nothing has been measured."""

    ready: bool
    queue_length: int
    running: int
    units: int
    batches: int
    largest_batch: int
    busy_s: float
    estimated_wait_s: float
    backlog_s: float = 0.0  # a tier of an earlier version says nothing of these
    seconds_per_cost: float = 0.0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> EngineStats:
        """A reading of a process that may have another version: what this one does not know is left out."""
        return cls(**{one.name: told[one.name] for one in fields(cls) if one.name in told})


UnitT = TypeVar("UnitT", bound=Unit, contravariant=True)
ResultT = TypeVar("ResultT", covariant=True)


class Engine(Protocol[UnitT, ResultT]):
    async def load(self) -> None:
        """Make the engine ready; safe to call again and from several tasks. Raises ``EngineUnavailable``."""

    async def close(self) -> None:
        """Finish the units that run and refuse those that wait."""

    async def submit(self, unit: UnitT) -> ResultT:
        """Run a unit and return its result. Raises ``OverCapacity``, ``DeadlineExceeded`` or ``EngineUnavailable``."""

    def stream(self, units: AsyncIterator[UnitT]) -> AsyncIterator[ResultT]:
        """Yield results in the order of the units, with several units under way at once."""

    def stats(self) -> EngineStats: ...
