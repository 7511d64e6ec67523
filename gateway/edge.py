"""The outermost ASGI layer for HTTP requests: request ids, logs, traces, and responses to uncaught exceptions."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias

from asgiref.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
)

from core import locale, rate_limit, tracing
from core.context import RequestContext, enter
from core.errors import ApiError, report
from gateway.lifecycle import lifecycle

HttpApp: TypeAlias = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]

logger = logging.getLogger("voiceproject.requests")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_QUIET = ("/healthz", "/readyz", "/metrics", "/static/")


def headers_of(scope: HTTPScope) -> dict[str, str]:
    """Return the request's headers by lower-case name. If a header is repeated, its last value counts."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


class Edge:
    """Outermost ASGI layer. It gives each request an id, logs and traces the request, and adds the common headers.

    If the application raises an exception, this layer sends the API's error response.
    """

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = headers_of(scope)
        wanted = headers.get("x-request-id", "")
        context = RequestContext(id=wanted) if _SANE_ID.fullmatch(wanted) else RequestContext()
        enter(context)
        is_english = scope["path"].startswith(locale.ENGLISH_ONLY)
        locale.answer_in("en" if is_english else locale.accepted(headers.get("accept-language", "")))
        response = _Response(context, send)
        is_quiet = scope["path"].startswith(_QUIET)
        with lifecycle().under_way(), nullcontext() if is_quiet else _traced(scope, headers, context, response):
            try:
                await self._app(scope, receive, response.send)
            except Exception as error:  # noqa: BLE001 - no other code would send a response
                await response.fail(error)
            finally:
                for work in list(context.work):  # left over if the view was cancelled before its stream began
                    await work.settle(asyncio.CancelledError())
        if not is_quiet:
            extra = {"method": scope["method"], "path": scope["path"], "status": response.status or 499}
            logger.info("request", extra={**extra, "duration_ms": context.elapsed_ms(), **context.notes})


@contextmanager
def _traced(
    scope: HTTPScope, headers: Mapping[str, str], context: RequestContext, response: _Response
) -> Iterator[None]:
    """Open a span for the whole request. Its parent is the caller's span, if the headers name one."""
    about = {"http.request.method": scope["method"], "url.path": scope["path"], tracing.REQUEST_ID: context.id}
    with tracing.span(f"{scope['method']} {scope['path']}", tracing.SpanRole.SERVER, parent=headers, **about) as span:
        yield
        span.set_attributes(**{"http.response.status_code": response.status or 499})


class _Response:
    """The response to one request. It passes ASGI events on, and adds the headers that every response has."""

    def __init__(self, context: RequestContext, send: ASGISendCallable) -> None:
        self._context = context
        self._send = send
        self.status: int | None = None

    async def send(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            event["headers"] = [*event["headers"], *self._headers()]
        await self._send(event)

    async def fail(self, error: Exception) -> None:
        """Send the error response for an exception.

        Send nothing if the response has already begun. The client then notices the failure, because the end of the
        response is missing.
        """
        answer = report(error)
        if self.status is None:
            await send_error(answer, self.send)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = {
            "X-Request-Id": self._context.id,
            "OpenAI-Processing-Ms": str(self._context.elapsed_ms()),
            **(self._context.rate or rate_limit.untouched()).headers(),
            **self._context.headers,
        }
        return [(name.encode(), value.encode()) for name, value in headers.items()]


async def send_error(answer: ApiError, send: Any) -> None:
    """Send a complete error response. ``send`` is an ASGI send callable."""
    body = json.dumps(answer.envelope()).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers()}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
