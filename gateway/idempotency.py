"""The ``Idempotency-Key`` header: a retry gets the first request's response, and its work is not done or counted twice.

A response is stored if a retry should get it again: a success, or an error that a retry would get too.

While a request runs, it holds a claim on its key and renews the claim. If the process is killed, the claim expires
after ``CLAIM_S`` seconds. Usage that the killed process had already written to the ledger is not counted again (see
``_Attempt._settlement``).

While Redis is unavailable, the service cannot know whether a key has been used, so requests with a key are refused
(503). If Redis becomes unavailable while such a request runs, its response is still sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.message import Message

from cachetools import TTLCache
from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.context import current
from core.error_codes import ErrorCode
from core.errors import ApiError, exception_handler
from core.identity import caller_of
from core.store import StoreUnavailable, make_store
from gateway.gate import WorkStream
from inference.pool import in_first_pool

POLL_S = 0.05
CLAIM_S = 10.0  # if a claim has not been renewed for this long, its process was killed
RENEWALS_PER_CLAIM = 4
GIVEN_KEYS = 100_000  # number of answered keys to remember, including those whose response is no longer stored
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NOT_KEPT = {401, 403, 408, 409, 429, 499}

_given: TTLCache[str, int] = TTLCache(GIVEN_KEYS, settings.VOICE_IDEMPOTENCY_TTL_S or 1)
_store = make_store("idempotency", settings.VOICE_IDEMPOTENCY_BYTES, settings.VOICE_IDEMPOTENCY_TTL_S)


async def run_once(request: Request, run: Callable[[], Awaitable[HttpResponseBase]]) -> HttpResponseBase:
    """Return the response of ``run``, or the stored response to this caller's earlier request with the same key.

    Raise ``ApiError`` 400 for an invalid key, 422 if the earlier request had another body, and 503 if the earlier
    request is still running at the deadline. Raise ``StoreUnavailable`` (answered with 503) while Redis is unavailable.
    """
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None or not settings.VOICE_IDEMPOTENCY_TTL_S:
        return await run()
    if not _KEY.fullmatch(key):
        raise _unusable(_("Idempotency-Key must be 1 to 255 printable ASCII characters."))
    caller = caller_of(request)
    name = _digest(caller.rate_key, caller.user, request.path, key)
    body = request._request.body
    fingerprint = await in_first_pool(_fingerprint, body, _boundary(request.content_type))
    return await _Attempt(name, fingerprint).answer(run)


def _boundary(content_type: str) -> bytes:
    """Return the boundary of a multipart content type; empty bytes for any other content type."""
    header = Message()
    header["Content-Type"] = content_type
    is_multipart = header.get_content_maintype() == "multipart"
    return (header.get_boundary() or "").encode("latin-1", "replace") if is_multipart else b""


def _fingerprint(body: bytes, boundary: bytes) -> str:
    """Return a digest of the body that is the same for bodies with the same fields and files.

    The digest leaves out the multipart boundary, because clients generate a new boundary for each attempt.
    """
    digest = hashlib.sha256()
    start = 0
    view = memoryview(body)
    while boundary and (found := body.find(boundary, start)) >= 0:
        digest.update(view[start:found])
        digest.update(b"\0")
        start = found + len(boundary)
    digest.update(view[start:])
    return digest.hexdigest()


class _Attempt:
    """One request with an idempotency key.

    ``name``: digest of the caller, the path and the key. The response is stored under this name.
    ``fingerprint``: digest of the body.
    """

    def __init__(self, name: str, fingerprint: str) -> None:
        self._name = name
        self._fingerprint = fingerprint
        self._renewing: asyncio.Task[None] | None = None

    async def answer(self, run: Callable[[], Awaitable[HttpResponseBase]]) -> HttpResponseBase:
        claim = json.dumps({"fingerprint": self._fingerprint}).encode()
        while not await _store().claim(self._name, claim, CLAIM_S):
            kept = await _store().get(self._name)
            if kept is not None and (replay := self._replay(kept)) is not None:
                return replay
            if current().elapsed_ms() > 1000 * settings.VOICE_DEADLINE_S:
                message = _("The first request with this Idempotency-Key is still under way.")
                raise ApiError(ErrorCode.OVER_CAPACITY, message, retry_after=1.0)
            await asyncio.sleep(POLL_S)
        return await self._first(run)

    async def _first(self, run: Callable[[], Awaitable[HttpResponseBase]]) -> HttpResponseBase:
        current().settlement_id = self._settlement()
        self._renewing = asyncio.create_task(self._renew())
        try:
            response = await run()
        except asyncio.CancelledError:
            await self._drop()
            raise
        except Exception as error:  # noqa: BLE001 - the response to any error may have to be kept
            response = exception_handler(error, {})
        if isinstance(response, WorkStream):
            response.on_end = lambda content: self._keep(response, content)
        elif response.status_code >= 500 or response.status_code in _NOT_KEPT:
            await self._keep(response, None)
        elif isinstance(response, Response):
            await self._keep(response, JSONRenderer().render(response.data))
        elif isinstance(response, HttpResponse):
            await self._keep(response, response.content)
        return response

    async def _renew(self) -> None:
        """Renew the claim until the task is cancelled, or until the deadline, when no client can still be waiting."""
        until = time.monotonic() + settings.VOICE_DEADLINE_S
        while time.monotonic() < until:
            await asyncio.sleep(CLAIM_S / RENEWALS_PER_CLAIM)
            with suppress(StoreUnavailable):
                await _store().renew(self._name, CLAIM_S)

    def _settlement(self) -> str:
        """Return a settlement id that all requests with this key share until one of them has been answered.

        The ledger accepts each settlement id once. So if a process was killed after it wrote the ledger row, the retry
        does not write a second row. Usage is counted again only if the work is repeated because the response is no
        longer stored.
        """
        period = int(time.time() / settings.VOICE_IDEMPOTENCY_TTL_S)
        return _digest(self._name, self._fingerprint, str(period), str(_given.get(self._name, 0)))[:32]

    def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()

    async def _keep(self, response: HttpResponseBase, content: bytes | None) -> None:
        self._stop_renewing()
        if content is None:
            await self._drop()
            return
        if response.status_code == 200:
            _given[self._name] = _given.get(self._name, 0) + 1
        headers = dict(response.items())
        if isinstance(response, Response):  # not rendered yet, so its Content-Type is still Django's default, HTML
            headers["Content-Type"] = "application/json"
        head = {"fingerprint": self._fingerprint, "status": response.status_code, "headers": headers}
        with suppress(StoreUnavailable):  # the store has logged the error
            await _store().put(self._name, json.dumps(head).encode() + b"\n" + content)

    async def _drop(self) -> None:
        self._stop_renewing()
        with suppress(StoreUnavailable):
            await _store().drop(self._name)

    def _replay(self, kept: bytes) -> HttpResponse | None:
        head_line, finished, content = kept.partition(b"\n")
        head = json.loads(head_line)
        if head["fingerprint"] != self._fingerprint:
            message = _("This Idempotency-Key was used for a request with another body.")
            raise ApiError(ErrorCode.IDEMPOTENCY_MISMATCH, message, param="Idempotency-Key")
        if not finished:
            return None
        headers = {**head["headers"], "Idempotent-Replayed": "true"}
        return HttpResponse(content, status=head["status"], headers=headers)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _unusable(message: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_VALUE, message, param="Idempotency-Key")
