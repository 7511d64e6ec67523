"""Receive request bodies in full before any work starts, in UTF-8 only, and within limits on size, time and rate.

A slow upload occupies only the memory for its bytes: no place in an engine's queue and no thread. This module writes
nothing to disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from email.message import Message

from asgiref.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, HTTPScope
from django.conf import settings
from django.utils.translation import gettext as _

from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import authenticate
from gateway.edge import HttpApp, headers_of, send_error
from gateway.strict_json import SHOWN_CHARACTERS

MAX_UNAUTHENTICATED_BODY_BYTES = 65_536
MAX_CONTENT_TYPE_CHARACTERS = 1024  # Python needs seconds to parse some Content-Type headers of 64 kB
CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})  # an empty name means the default, UTF-8
_API = "/v1/"


class ReceiveBody:
    """ASGI middleware that waits for the whole body, and then passes the request on with the body in one event.

    A request whose Content-Type names a charset other than UTF-8 and US-ASCII is refused before its body is read. A
    Content-Type that is sent several times with the same value, as some proxies do, is passed on once.

    A body over the limit is refused before it is read if it has a Content-Length, and otherwise while it arrives. The
    limits are:

    - for the API, ``VOICE_MAX_UPLOAD_BYTES`` (plus overhead) for a multipart body, ``VOICE_MAX_JSON_BYTES`` for any
      other body, and ``MAX_UNAUTHENTICATED_BODY_BYTES`` for callers who cannot be authenticated;
    - for all other paths, ``VOICE_MAX_JSON_BYTES``.
    """

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            scope = _with_content_type_once(scope)
            _check_content_type(scope)  # also without a body, because Django decodes the query by this charset too
        except ApiError as answer:
            await send_error(answer, send)
            return
        headers = headers_of(scope)
        length = _announced_length(headers)
        if length == 0:
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            if not await self._receive(body, scope, receive, headers, length):
                return  # the client has disconnected
        except ApiError as answer:
            await send_error(answer, send)
            return
        await self._app(_announcing(scope, len(body)), _replay(bytes(body), receive), send)

    async def _receive(
        self,
        body: bytearray,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        headers: Mapping[str, str],
        length: int | None,
    ) -> bool:
        limit = _limit(scope["path"], headers)
        if length is not None and length > limit:
            raise _too_large(limit)
        is_known = not scope["path"].startswith(_API)
        if not is_known and length is not None and length > MAX_UNAUTHENTICATED_BODY_BYTES:
            await authenticate(headers)
            is_known = True
        return await _receive(body, receive, headers, limit, is_known=is_known)


async def _receive(
    body: bytearray, receive: ASGIReceiveCallable, headers: Mapping[str, str], limit: int, *, is_known: bool
) -> bool:
    """Append the request body to ``body`` as it arrives. Return False if the client disconnected before the end.

    Raise ``ApiError``:

    - 413 for a body of more than ``limit`` bytes;
    - 401 for a body of more than ``MAX_UNAUTHENTICATED_BODY_BYTES`` if the caller cannot be authenticated. If
      ``is_known``, the caller is not checked;
    - 408 for a body that arrives too slowly: on average less than ``VOICE_BODY_MIN_BYTES_S`` bytes per second after the
      first ``VOICE_BODY_GRACE_S`` seconds, or still incomplete after ``VOICE_DEADLINE_S`` seconds.
    """
    started = time.monotonic()
    while True:
        allowed_s = settings.VOICE_BODY_GRACE_S + len(body) / settings.VOICE_BODY_MIN_BYTES_S
        try:
            async with asyncio.timeout(started + min(allowed_s, settings.VOICE_DEADLINE_S) - time.monotonic()):
                event: ASGIReceiveEvent = await receive()
        except TimeoutError as error:
            message = _("The request body arrives too slowly. Send it again over a better connection.")
            raise ApiError(ErrorCode.REQUEST_TIMEOUT, message) from error
        if event["type"] != "http.request":
            return False
        body += event["body"]
        if len(body) > limit:
            raise _too_large(limit)
        if len(body) > MAX_UNAUTHENTICATED_BODY_BYTES and not is_known:
            await authenticate(headers)
            is_known = True
        if not event.get("more_body", False):
            return True


def _with_content_type_once(scope: HTTPScope) -> HTTPScope:
    """Return ``scope`` with one Content-Type header, if it has several and all have the same value."""
    values = {value.strip() for name, value in scope["headers"] if name.lower() == b"content-type"}
    # A proxy may have joined repeated headers with commas.
    members = {member.strip() for value in values for member in value.split(b",")}
    for unique in (members, values):  # quoted commas make several members of one value
        if len(unique) == 1:
            others = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-type"]
            return {**scope, "headers": [*others, (b"content-type", unique.pop())]}
    return scope


def _check_content_type(scope: HTTPScope) -> None:
    """Raise ``ApiError`` 415 for a Content-Type that is too long, invalid, or names a charset not in ``CHARSETS``.

    Django would decode the body with any codec of Python's. Some of them take quadratic time or fail unexpectedly.
    Others turn one valid JSON text into another, so a filter in front of the service would not see what is spoken.
    """
    # Django, too, joins repeated headers with commas.
    values = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"content-type"]
    content_type = ",".join(values)
    if len(content_type) > MAX_CONTENT_TYPE_CHARACTERS:
        raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, _("The Content-Type header is too long."))
    for charset in _charsets(content_type):
        # Compare the names as they are written: ``codecs.lookup`` would keep each unknown name in memory for ever.
        if charset.lower().replace("_", "-") not in CHARSETS:
            message = _("The charset {charset!r} is not supported. Send the request in UTF-8.")
            message = message.format(charset=charset[:SHOWN_CHARACTERS])
            raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, message)


def _charsets(content_type: str) -> list[str]:
    """Return all charsets that a Content-Type names: of the body, and of parameters encoded by RFC 2231."""
    header = Message()
    header["Content-Type"] = content_type
    try:
        parameters = header.get_params([])
    except (TypeError, ValueError) as error:  # caused by ``a/b; x*=1; x*0=2``, for example
        raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, _("The Content-Type header is invalid.")) from error
    found = []
    for name, value in parameters:
        if isinstance(value, tuple):  # RFC 2231: charset, language, value
            if value[0]:
                found.append(value[0])
            value = value[2]
        if name.lower() == "charset":
            found.append(value)
    return found


def _announcing(scope: HTTPScope, length: int) -> HTTPScope:
    """Return ``scope`` with a Content-Length of ``length`` bytes in place of a chunked transfer encoding.

    Without a Content-Length, Django would treat a multipart body as empty.
    """
    if not any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        return scope
    kept = [(name, value) for name, value in scope["headers"] if name not in (b"transfer-encoding", b"content-length")]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}


def _replay(body: bytes, receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    event: ASGIReceiveEvent | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> ASGIReceiveEvent:
        nonlocal event
        if event is None:
            return await receive()
        first = event
        event = None
        return first

    return replay


def body_size(scope: HTTPScope) -> int:
    """Return the length of the request body in bytes, as its Content-Length announces it; 0 if none is announced.

    Once ``ReceiveBody`` has received the body, this is the actual length.
    """
    return _announced_length(headers_of(scope)) or 0


def _announced_length(headers: Mapping[str, str]) -> int | None:
    """Return the Content-Length in bytes; 0 if it is missing or invalid; None if the body is sent in chunks."""
    if "transfer-encoding" in headers:
        return None
    announced = headers.get("content-length", "0")
    return int(announced) if announced.isdecimal() else 0


def _limit(path: str, headers: Mapping[str, str]) -> int:
    if path.startswith(_API) and headers.get("content-type", "").lower().startswith("multipart/"):
        return settings.VOICE_MAX_UPLOAD_BYTES + settings.MULTIPART_OVERHEAD_BYTES
    return settings.VOICE_MAX_JSON_BYTES


def _too_large(limit: int) -> ApiError:
    return ApiError(ErrorCode.FILE_TOO_LARGE, _("The request body is larger than {limit:,} bytes.").format(limit=limit))
