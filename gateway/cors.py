"""Cross-origin resource sharing (CORS, part of the Fetch standard): the origins whose pages may call the API.

Pages authenticate with a short-lived token or another credential from their own server, never with a cookie. So
``Access-Control-Allow-Credentials`` is never sent, and the admin and the dashboard are closed to other origins.
"""

from __future__ import annotations

import re
from functools import lru_cache

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
from django.conf import settings

from gateway.edge import HttpApp, headers_of

OPEN_PATHS = ("/v1/", "/static/", "/schema/", "/healthz", "/readyz")
METHODS = "GET, HEAD, POST, OPTIONS"
PREFLIGHT_SECONDS = 600
EXPOSED = ", ".join(
    [
        "X-Request-Id",
        "OpenAI-Processing-Ms",
        "Retry-After",
        "Warning",
        "Idempotent-Replayed",
        "X-RateLimit-Limit-Requests",
        "X-RateLimit-Remaining-Requests",
        "X-RateLimit-Reset-Requests",
        "X-Voice-Degraded",
    ]
)
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,1000}")


def is_allowed(origin: str) -> bool:
    """Return True if an entry of ``VOICE_CORS_ORIGINS`` matches the origin.

    An entry may contain ``*``. The entry ``*`` matches every origin. In a host, ``*`` matches any subdomain. As a port,
    ``*`` matches any port or none.
    """
    return any(_pattern(allowed).fullmatch(origin) for allowed in settings.VOICE_CORS_ORIGINS)


@lru_cache(maxsize=256)
def _pattern(allowed: str) -> re.Pattern[str]:
    if allowed == "*":
        return re.compile(".*")
    escaped = re.escape(allowed.rstrip("/")).replace(r":\*", r"(:\d+)?").replace(r"\*", r"[A-Za-z0-9.-]+")
    return re.compile(escaped, re.IGNORECASE)


class Cors:
    """ASGI middleware that answers preflight requests, and lets pages of allowed origins read the responses."""

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = headers_of(scope)
        origin = headers.get("origin")
        if origin is None or not scope["path"].startswith(OPEN_PATHS):
            await self._app(scope, receive, send)
            return
        allowed = is_allowed(origin)
        granted = {"Vary": "Origin"}
        if allowed:
            granted |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _answer_preflight(granted if allowed else {}, headers, send)
            return

        async def with_grant(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], *_encoded(granted)]
            await send(event)

        await self._app(scope, receive, with_grant)


async def _answer_preflight(granted: dict[str, str], headers: dict[str, str], send: ASGISendCallable) -> None:
    """Answer a preflight request.

    Every header that the page asks for is allowed, because access depends on the credential and not on header names.

    ``granted``: CORS headers to send; empty if the origin is not allowed.
    """
    answer = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
    wanted = headers.get("access-control-request-headers", "")
    if granted:
        answer = {**granted, **answer, "Access-Control-Allow-Methods": METHODS}
        answer["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        if wanted and _HEADER_NAMES.fullmatch(wanted):
            answer["Access-Control-Allow-Headers"] = wanted
    await send({"type": "http.response.start", "status": 204, "headers": _encoded(answer), "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
