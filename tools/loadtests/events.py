"""The events that the load generator writes to a pipe, one JSON object for each line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from capacity.goals import Workload


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # 429 or 503
    FAILED = "failed"
    HUNG = "hung"  # no answer within Orders.patience_s


@dataclass(frozen=True)
class RequestEvent:
    """A request, at its end.

    ``at``: the Unix time of its end.
    ``seconds``: how long the user waited.
    ``why``: why it did not succeed; "" if it did.
    ``voice``: the requested voice; "" for speech to text.
    ``degraded``: why another voice spoke; "" if none did.
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

    ``at``: Unix time.
    ``users``: how many users there are.
    ``in_flight``: how many requests are in progress.
    ``lag_s``: the generator's own longest delay. Measured latencies may be too long by this much.
    """

    at: float
    users: int
    in_flight: int
    lag_s: float


def line(event: RequestEvent | Pulse) -> bytes:
    return json.dumps(asdict(event)).encode() + b"\n"


def read(text: bytes) -> RequestEvent | Pulse:
    """Read an event from a line. Raises ``ValueError`` or ``TypeError`` if the line is not an event."""
    fields: dict[str, Any] = json.loads(text)
    if "work" not in fields:
        return Pulse(**fields)
    fields |= {"work": Workload(fields["work"]), "outcome": Outcome(fields["outcome"])}
    return RequestEvent(**fields)
