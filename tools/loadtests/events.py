"""What the load generator tells while it runs: one JSON object a line, on a pipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from capacity.goals import Workload


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # 429 or 503: the service says that it cannot now
    FAILED = "failed"
    HUNG = "hung"  # no end within the orders' patience


@dataclass(frozen=True)
class Asked:
    """One thing that a user asked for, when its answer was complete (``at``: Unix time).

    Of speech, ``voice`` is the one that was asked for, ``degraded`` why another one spoke ("": none did) and
    ``audio_s`` how much was spoken."""

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
    """Once a second. ``lag_s``: how late the generator itself was; what it measures is too long by up to as much."""

    at: float
    users: int
    in_flight: int
    lag_s: float


def line(event: Asked | Pulse) -> bytes:
    return json.dumps(asdict(event)).encode() + b"\n"


def read(text: bytes) -> Asked | Pulse:
    """Raises ``ValueError`` or ``TypeError`` for what is not such a line."""
    fields: dict[str, Any] = json.loads(text)
    if "work" not in fields:
        return Pulse(**fields)
    fields |= {"work": Workload(fields["work"]), "outcome": Outcome(fields["outcome"])}
    return Asked(**fields)
