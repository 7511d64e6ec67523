"""The context of the current request, which can be read by all code that serves the request, such as the log formatter.

``gateway.edge`` creates the context of an HTTP request, and ``gateway.socket`` that of a WebSocket. All tasks and
threads of a request share one object, so outer layers can read values that inner layers have set.
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
    """Metered work of a request. Call ``settle`` when the request ends, whether it succeeds or fails."""

    async def settle(self, error: BaseException | None = None) -> None: ...


class Admitted(Protocol):
    """Work that admission control has admitted. ``inference.admission.Admitted`` implements this protocol."""

    def revise(self, cost: float) -> None: ...
    def leave(self, *, done: bool) -> None: ...


@dataclass
class RequestContext:
    """The state of one request.

    ``id``: id of the request, for the logs and the response's headers. It is sent by the client or generated.
    ``started``: start of the request, in seconds of ``time.monotonic()``.
    ``rate``: state of the caller's rate limit; None until this request has been counted.
    ``settlement_id``: id that all retries with the same idempotency key share; None if there is no such key.
    ``admitted``: the work that admission control has admitted for this request; None before admission.
    ``work``: metered work to settle when the request ends.
    ``headers``: headers to add to the response.
    ``notes``: fields to add to the request's line in the access log.
    """

    id: str = field(default_factory=lambda: f"req_{uuid.uuid4().hex}")
    started: float = field(default_factory=time.monotonic)
    rate: RateLimit | None = None
    settlement_id: str | None = None
    admitted: Admitted | None = None
    work: list[Settleable] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str | int | float | None] = field(default_factory=dict)

    def elapsed_ms(self) -> int:
        """Return the milliseconds since the request began."""
        return round(1000 * (time.monotonic() - self.started))


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def enter(context: RequestContext) -> None:
    """Make ``context`` the context of the current task and of the tasks that it starts."""
    _current.set(context)


def maybe_current() -> RequestContext | None:
    """Return the context of the current request; None outside a request."""
    return _current.get()


def current() -> RequestContext:
    """Return the context of the current request. Outside a request, for example in a test, create a new context."""
    context = _current.get()
    if context is None:
        context = RequestContext()
        _current.set(context)
    return context
