"""The context of the request being served, for all code that works on it: logs, headers, the gate.

The outermost ASGI middleware creates it. Tasks and threads started by the request share the same object, so outer
layers can read what an inner layer sets in it.
"""

from __future__ import annotations

import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from core.rate_limit import RateLimit


class Settleable(Protocol):
    """Metered work of this request. It must be settled, however the request ends."""

    async def settle(self, error: BaseException | None = None) -> None: ...


class Admitted(Protocol):
    """A place in an engine's queue, held for this request."""

    def revise(self, cost: float) -> None: ...
    def leave(self, *, done: bool) -> None: ...


@dataclass
class RequestContext:
    """What is known about one request.

    ``id``: unique; in the logs and in the response's headers.
    ``started``: ``time.monotonic()`` seconds.
    ``rate``: the caller's rate limit, once this request has been counted.
    ``once``: with an idempotency key, an id that all tries of the request share.
    ``admitted``: the request's place in an engine's queue.
    ``work``: work to settle when the request ends.
    ``headers``: headers to add to the response.
    ``notes``: fields to add to the request's line in the access log.
    """

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
    """Return the context of this request. Outside the service's middleware (in a unit test, say), make one."""
    context = _current.get()
    if context is None:
        context = RequestContext()
        _current.set(context)
    return context
