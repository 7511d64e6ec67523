"""The events that the load generator writes to a pipe, one JSON object per line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from capacity.latency_targets import Workload


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    REFUSED = "refused"  # 429 or 503
    FAILED = "failed"
    HUNG = "hung"  # no answer within GeneratorConfig.timeout_s


@dataclass(frozen=True)
class RequestEvent:
    """A finished request.

    ``at``: when the request ended (Unix time).
    ``work``: the kind of work that was requested.
    ``seconds``: how long the user waited.
    ``outcome``: how the request ended.
    ``why``: why the request did not succeed; "" if it did.
    ``voice``: the requested voice; "" for speech to text.
    ``degraded``: why a different voice spoke; "" if the requested voice spoke.
    ``audio_s``: seconds of speech received.
    """

    at: float
    work: Workload
    seconds: float
    outcome: Outcome
    why: str = ""
    voice: str = ""
    degraded: str = ""
    audio_s: float = 0.0


@dataclass(frozen=True)
class Pulse:
    """The state of the load generator, recorded once a second.

    ``at``: when it was recorded (Unix time).
    ``users``: how many users there are.
    ``in_flight``: how many requests are in progress.
    ``lag_s``: the longest delay of the generator itself, in seconds. Measured latencies may be too long by this much.
    """

    at: float
    users: int
    in_flight: int
    lag_s: float


def line(event: RequestEvent | Pulse) -> bytes:
    """Return an event as a line of JSON that ``read`` can read."""
    return json.dumps(asdict(event)).encode() + b"\n"


def read(text: bytes) -> RequestEvent | Pulse:
    """Parse a line that ``line`` made. Raise ``ValueError`` or ``TypeError`` if the line is not an event."""
    fields: dict[str, Any] = json.loads(text)
    if "work" not in fields:
        return Pulse(**fields)
    fields |= {"work": Workload(fields["work"]), "outcome": Outcome(fields["outcome"])}
    return RequestEvent(**fields)
