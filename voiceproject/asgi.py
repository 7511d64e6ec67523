"""The ASGI entry point, ``voiceproject.asgi:application``. ``manage.py serve`` or any other ASGI server can run it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import cache
from typing import Any, cast

import django
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from django.utils.translation import gettext as _

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
django.setup(set_prefix=False)

# These imports need ``django.setup()`` to have run.
from django.conf import settings  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from core import tracing  # noqa: E402
from core.error_codes import ErrorCode  # noqa: E402
from core.errors import ApiError  # noqa: E402
from gateway.admission_middleware import Admission, RefuseWhenFull  # noqa: E402
from gateway.asgi_handler import Handler  # noqa: E402
from gateway.bodies import ReceiveBody  # noqa: E402
from gateway.cors import Cors  # noqa: E402
from gateway.edge import Edge, HttpApp  # noqa: E402
from gateway.lifecycle import lifecycle  # noqa: E402
from usage.checkpoints import keep_recovering  # noqa: E402
from usage.ledger_writer import keep_draining  # noqa: E402
from voiceproject.checks import require_usable_settings  # noqa: E402
from voiceproject.static import StaticFiles  # noqa: E402

require_usable_settings()

# The interval after which a thread that waits for the GIL makes the holder release it. Threads wait often, because the
# event loop is always busy and NumPy releases the GIL in every array operation. With Python's default of 5 ms, a task
# of 1 ms took 13 ms.
SWITCH_S = 0.0005
API = ("/v1/", "/ws/")

_http = Edge(
    Cors(RefuseWhenFull(ReceiveBody(Admission(StaticFiles(cast("HttpApp", Handler()), settings.STATIC_URL))))),
)


@cache
def _sockets() -> dict[str, Any]:
    """Return the consumer for each WebSocket path.

    The imports are here and not at module level because the consumers import the libraries of their engines.
    """
    from asr.urls import websockets as asr
    from tts.urls import websockets as tts

    return {**asr, **tts}


def _without_slash(path: str) -> str:
    return path.rstrip("/") if path.startswith(API) else path


def _tidied(scope: HTTPScope) -> HTTPScope:
    """Return the scope without a trailing slash in an API path. API paths have none, but some clients add one."""
    path = _without_slash(scope["path"])
    return scope if path == scope["path"] else {**scope, "path": path, "raw_path": path.encode()}


async def _no_socket(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Refuse a WebSocket handshake at an unknown path.

    The answer is 404 with the error envelope if the server supports ASGI's "WebSocket Denial Response" extension.
    Otherwise the server answers with a bare 403.
    """
    await receive()
    if "websocket.http.response" not in cast("dict[str, Any]", scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 4404, "reason": "not found"})
        return
    answer = ApiError(ErrorCode.NOT_FOUND, _("There is no WebSocket at this address."))
    body = json.dumps(answer.envelope()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    match scope["type"]:
        case "http":
            await _http(_tidied(scope), receive, send)
        case "lifespan":
            await _lifespan(receive, send)
        case "websocket":
            await _sockets().get(_without_slash(scope["path"]), _no_socket)(scope, receive, send)


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Start loading the engines when the server starts, and release all resources when it stops."""
    await receive()
    sys.setswitchinterval(SWITCH_S)
    tracing.start("voice-api")
    lifecycle().start_loading()
    # Import all views and consumers now, so that the first request does not wait for the imports.
    await asyncio.to_thread(lambda: (get_resolver().url_patterns, _sockets()))
    chores = [asyncio.create_task(keep_recovering()), asyncio.create_task(keep_draining())]
    await send({"type": "lifespan.startup.complete"})
    await receive()
    for chore in chores:
        chore.cancel()
    await lifecycle().close()
    await asyncio.to_thread(tracing.stop)
    await send({"type": "lifespan.shutdown.complete"})
