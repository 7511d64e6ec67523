"""The context of the current request, for all code that runs in it, such as logging.

The outermost ASGI middleware creates the context. Tasks and threads that the request starts share the same object, so
outer layers can read the values that an inner layer sets.
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
    """Metered work of a request. ``settle`` must be called, however the request ends."""

    async def settle(self, error: BaseException | None = None) -> None: ...


class Admitted(Protocol):
    """Work of a request that admission control has admitted (``inference.admission.Admitted``)."""

    def revise(self, cost: float) -> None: ...
    def leave(self, *, done: bool) -> None: ...


@dataclass
class RequestContext:
    """The data that belong to one request.

    ``id``: unique id of the request, for the logs and the response's headers.
    ``started``: when the request began, in ``time.monotonic()`` seconds.
    ``rate``: the caller's rate limit; None until this request has been counted.
    ``once``: id that all attempts of the request share; None without an idempotency key.
    ``admitted``: the request's work in an engine; None until it is admitted.
    ``work``: metered work to settle when the request ends.
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
    """Return the context of the current request. Outside a request, for example in a test, create one."""
    context = _current.get()
    if context is None:
        context = RequestContext()
        _current.set(context)
    return context
