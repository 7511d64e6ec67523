"""The interface of all engines. An engine runs a model: it takes units of speech work, and returns their results.

A unit, such as a speech segment or a sentence, contains everything on which its result depends. So a unit can share a
batch with units of other requests, run on any machine, and run again after a failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar


@dataclass(kw_only=True)
class Unit:
    """One piece of speech work, such as a speech segment or a sentence.

    ``deadline``: time after which the result is no longer needed, in seconds of ``time.monotonic()``; None if there is
    no limit.
    ``live``: whether a user waits for the result in real time. Live units have priority.
    ``admitted``: whether the unit's request or stream has already been accepted. If the engine is full, admitted units
    wait instead of being refused.
    ``slack_s``: seconds until the result is needed, for example while earlier audio is still playing. Units with less
    slack run first.
    ``queued_ms``: milliseconds that the unit waited for its batch. The batcher sets this.
    ``origin``: the request and the trace to which the unit belongs (``core.tracing.origin``). Only the inference tier
    sets this.
    """

    deadline: float | None = None
    live: bool = False
    admitted: bool = False
    slack_s: float = 0.0
    queued_ms: float = 0.0
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """The cost of this unit, in a measure that the engine chooses, such as seconds of audio.

        The cost should be proportional to the time that the unit takes, because waiting times are estimated from it.
        """
        return 1.0


@dataclass(frozen=True)
class EngineStats:
    """The state of one engine at one moment.

    ``ready``: whether the engine accepts units.
    ``queue_length``: number of waiting units.
    ``running``: number of running units.
    ``units``: number of units run so far.
    ``batches``: number of batches run so far.
    ``largest_batch``: number of units in the largest batch so far.
    ``busy_s``: total duration of all batches in seconds.
    ``estimated_wait_s``: seconds that a unit submitted now would wait.
    ``backlog_s``: estimated delay, in seconds, of the most delayed of the waiting and running units. A unit's delay is
    the time from the moment at which its result is needed to the moment at which the result will be ready.
    ``seconds_per_cost``: seconds that a unit of cost 1 takes at present; 0 before the first measurement.
    ``utilisation``: fraction of roughly the last ten seconds in which the workers ran batches, from 0 to 1.
    ``fastest_seconds_per_cost``: seconds that a unit of cost 1 takes while nothing else uses the processor; 0 if
    unknown.
    ``cores``: number of CPU cores that the engine uses while all its workers run; 0 if it runs on a GPU or does
    not report this.
    ``workers``: number of batches that the engine runs in parallel; 0 if it does not report this.
    """

    ready: bool
    queue_length: int
    running: int
    units: int
    batches: int
    largest_batch: int
    busy_s: float
    estimated_wait_s: float
    backlog_s: float = 0.0  # earlier versions do not send this field and the ones below
    seconds_per_cost: float = 0.0
    utilisation: float = 0.0
    fastest_seconds_per_cost: float = 0.0
    cores: int = 0
    workers: int = 0

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> EngineStats:
        """Create the state from fields that another process has sent. Ignore fields that this version does not know."""
        return cls(**{one.name: sent[one.name] for one in fields(cls) if one.name in sent})


UnitT = TypeVar("UnitT", bound=Unit, contravariant=True)
ResultT = TypeVar("ResultT", covariant=True)


class Engine(Protocol[UnitT, ResultT]):
    """Runs units with one or more models, in this process or elsewhere."""

    async def load(self) -> None:
        """Make the engine ready. It is safe to call this repeatedly, and from several tasks at the same time.

        Raise ``EngineUnavailable`` if the engine cannot be made ready.
        """

    async def close(self) -> None:
        """Finish the running units, and refuse the waiting units."""

    async def submit(self, unit: UnitT) -> ResultT:
        """Run a unit and return its result.

        Raise a subclass of ``InferenceError`` if the unit cannot be run, or any error of a model in this process.
        """

    def stream(self, units: AsyncIterator[UnitT]) -> AsyncIterator[ResultT]:
        """Yield the results in the order of the units. Several units run at the same time."""

    def stats(self) -> EngineStats: ...
