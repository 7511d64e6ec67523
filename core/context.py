"""Context of the request under way, for all code that works on it: logs, headers, the gate.

The outermost ASGI middleware creates it. Tasks and threads that the request starts share the same object, so outer
layers can read what an inner layer notes on it.
"""

from __future__ import annotations

import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from core.ratelimit import RateLimit


class Settleable(Protocol):
    """Work of this request that must be settled, however the request ends."""

    async def settle(self, error: BaseException | None = None) -> None: ...


class Admitted(Protocol):
    """A place in the queue of an engine, taken for this request."""

    def revise(self, cost: float) -> None: ...
    def leave(self, *, done: bool) -> None: ...


@dataclass
class RequestContext:
    """``started``: ``time.monotonic()`` seconds. ``headers`` are added to the response, ``notes`` to the request's
    access line in the log. ``once``: of a request with an idempotency key, the same for each of its tries."""

    id: str = field(default_factory=lambda: f"req_{uuid.uuid4().hex}")
    started: float = field(default_factory=time.monotonic)
    rate: RateLimit | None = None
    once: str | None = None
    admitted: Admitted | None = None
    work: list[Settleable] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str | int | float | None] = field(default_factory=dict)

    def elapsed_ms(self) -> int:
        return round(1000 * (time.monotonic() - self.started))


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def enter(context: RequestContext) -> None:
    _current.set(context)


def maybe_current() -> RequestContext | None:
    return _current.get()


def current() -> RequestContext:
    """The context of this request; outside the service's own middleware (a unit test, say) one is made."""
    context = _current.get()
    if context is None:
        context = RequestContext()
        _current.set(context)
    return context
