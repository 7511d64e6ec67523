"""The outermost layer, in plain ASGI: what must hold for every HTTP response and before any body is read."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from asgiref.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
)
from django.conf import settings

from voiceproject import ratelimit
from voiceproject.context import RequestContext, enter
from voiceproject.errors import ApiError, report
from voiceproject.identity import authenticate
from voiceproject.lifecycle import lifecycle

HttpApp: TypeAlias = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]

logger = logging.getLogger("voiceproject.requests")

STRANGERS_BODY_BYTES = 65_536  # nobody's larger body is read before we know who sends it
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_API = "/v1/"
_QUIET = ("/healthz", "/readyz", "/metrics", "/static/")


def headers_of(scope: HTTPScope) -> dict[str, str]:
    """The request's headers, names in lower case; of a repeated one the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


class Edge:
    """Names, measures and logs each request; turns what nobody else caught into the envelope."""

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = headers_of(scope)
        wanted = headers.get("x-request-id", "")
        context = RequestContext(id=wanted) if _SANE_ID.fullmatch(wanted) else RequestContext()
        enter(context)
        response = _Response(context, send)
        with lifecycle().under_way():
            try:
                await self._app(scope, receive, response.send)
            except Exception as error:  # noqa: BLE001 - nothing else would answer
                await response.fail(error)
            finally:
                for work in list(context.work):  # a view that was cancelled before its stream began
                    await work.settle(asyncio.CancelledError())
        if not scope["path"].startswith(_QUIET):
            extra = {"method": scope["method"], "path": scope["path"], "status": response.status or 499}
            logger.info("request", extra={**extra, "duration_ms": context.elapsed_ms(), **context.notes})


class _Response:
    """Passes a response on, with the headers that every one carries."""

    def __init__(self, context: RequestContext, send: ASGISendCallable) -> None:
        self._context, self._send = context, send
        self.status: int | None = None

    async def send(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            event["headers"] = [*event["headers"], *self._headers()]
        await self._send(event)

    async def fail(self, error: Exception) -> None:
        """The answer to an exception; once a response has begun, its missing end tells the client."""
        answer = report(error)
        if self.status is None:
            await send_error(answer, self.send)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = {
            "X-Request-Id": self._context.id,
            "OpenAI-Processing-Ms": str(self._context.elapsed_ms()),
            **(self._context.rate or ratelimit.untouched()).headers(),
            **self._context.headers,
        }
        return [(name.encode(), value.encode()) for name, value in headers.items()]


async def send_error(answer: ApiError, send: Any) -> None:
    body = json.dumps(answer.envelope()).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers()}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


class BodyLimit:
    """Refuses a body by its announced length, or while a chunked one arrives: before it is parsed, never on the disk.

    A body larger than ``STRANGERS_BODY_BYTES`` is not read for callers who cannot say who they are.
    """

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = headers_of(scope)
        limit = _limit(headers)
        try:
            if "transfer-encoding" in headers:
                scope, receive = await self._read_chunked(scope, receive, headers, limit)
            else:
                await self._check_announced(scope, headers, limit)
        except ApiError as answer:
            await send_error(answer, send)
            return
        await self._app(scope, receive, send)

    async def _check_announced(self, scope: HTTPScope, headers: Mapping[str, str], limit: int) -> None:
        announced = headers.get("content-length", "0")
        length = int(announced) if announced.isdecimal() else 0
        if length > limit:
            raise _too_large(limit)
        if length > STRANGERS_BODY_BYTES and scope["path"].startswith(_API):
            await authenticate(headers)

    async def _read_chunked(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, headers: Mapping[str, str], limit: int
    ) -> tuple[HTTPScope, ASGIReceiveCallable]:
        """The whole body as one event. Django takes a multipart body for empty unless its length is announced, so the
        scope that is handed on announces it."""
        known = not scope["path"].startswith(_API)
        body = bytearray()
        event: ASGIReceiveEvent = await receive()
        while event["type"] == "http.request":
            body += event["body"]
            if len(body) > limit:
                raise _too_large(limit)
            if len(body) > STRANGERS_BODY_BYTES and not known:
                await authenticate(headers)
                known = True
            if not event.get("more_body", False):
                break
            event = await receive()
        if event["type"] == "http.request":
            event["body"] = bytes(body)
        kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"transfer-encoding"]
        announced: HTTPScope = {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
        events = iter([event])

        async def replay() -> ASGIReceiveEvent:
            return next(events, None) or await receive()

        return announced, replay


def _limit(headers: Mapping[str, str]) -> int:
    if headers.get("content-type", "").lower().startswith("multipart/"):
        return settings.VOICE_MAX_UPLOAD_BYTES + settings.MULTIPART_OVERHEAD_BYTES
    return settings.VOICE_MAX_JSON_BYTES


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "file_too_large", f"The request body is larger than {limit:,} bytes.")
