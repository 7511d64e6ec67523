"""The interface of every engine: units of speech work go in, results come out.

A unit is pure: it holds everything that its result depends on. So it can be batched with units of other requests, run
on any machine, and run again after a failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar


@dataclass(kw_only=True)
class Unit:
    """One piece of speech work, such as a speech segment or a sentence.

    ``deadline``: time after which nobody wants the result, in ``time.monotonic()`` seconds; None: no limit.
    ``live``: somebody waits for the result in real time; the unit goes ahead of work on files.
    ``admitted``: part of a request whose first unit was accepted, so it waits instead of being refused.
    ``slack_s``: seconds before the result is missed, because earlier audio is still playing. Units needed sooner go
    first.
    ``queued_ms``: how long the unit waited for its batch; set by the batcher.
    ``origin``: in the inference tier, the request and trace that the unit belongs to (``core.tracing.origin``).
    """

    deadline: float | None = None
    live: bool = False
    admitted: bool = False
    slack_s: float = 0.0
    queued_ms: float = 0.0
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """Cost relative to the engine's other units, for estimating waits.

        Seconds of audio, or a measure of the engine's own.
        """
        return 1.0


@dataclass(frozen=True)
class EngineStats:
    """A reading of one engine.

    ``ready``: whether it takes units.
    ``queue_length``, ``running``: how many units wait, and how many run, now.
    ``units``, ``batches``: how many have been run so far.
    ``largest_batch``: number of units in the largest batch so far.
    ``busy_s``: sum of the durations of all batches, in seconds.
    ``estimated_wait_s``: seconds that a unit submitted now would wait.
    ``backlog_s``: how late the latest of the present units will be: seconds from when its result is first missed until
    it is done.
    ``seconds_per_cost``: seconds that a cost of 1 takes at the present pace; 0 while nothing has been measured.
    """

    ready: bool
    queue_length: int
    running: int
    units: int
    batches: int
    largest_batch: int
    busy_s: float
    estimated_wait_s: float
    backlog_s: float = 0.0  # this and the next are absent from tiers of an earlier version
    seconds_per_cost: float = 0.0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> EngineStats:
        """Make a reading from fields sent by a process of any version. Unknown fields are ignored."""
        return cls(**{one.name: told[one.name] for one in fields(cls) if one.name in told})


UnitT = TypeVar("UnitT", bound=Unit, contravariant=True)
ResultT = TypeVar("ResultT", covariant=True)


class Engine(Protocol[UnitT, ResultT]):
    async def load(self) -> None:
        """Make the engine ready. Safe to call again, and from several tasks. Raises ``EngineUnavailable``."""

    async def close(self) -> None:
        """Finish the units that run and refuse those that wait."""

    async def submit(self, unit: UnitT) -> ResultT:
        """Run a unit and return its result. Raises ``OverCapacity``, ``DeadlineExceeded`` or ``EngineUnavailable``."""

    def stream(self, units: AsyncIterator[UnitT]) -> AsyncIterator[ResultT]:
        """Yield the results in the order of the units. Several units are under way at once."""

    def stats(self) -> EngineStats: ...
