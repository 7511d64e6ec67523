"""An ASGI handler that, unlike Django's, needs no thread for a request for speech work (recognition or synthesis).

Django uses a thread for each request to send the signals ``request_started`` and ``request_finished``. The receivers
of these signals close old database connections, for example. Speech work needs none of the receivers, because the
ledger and the gate manage their own connections. So this handler does not send the signals for speech work.
"""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.typing import ASGIReceiveCallable, HTTPScope
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from gateway.endpoints import kind_of


class Handler(ASGIHandler):
    """ASGI handler that sends no request signals for speech work, and handles all other requests as Django does."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        if kind_of(scope["path"]) is not None:
            await self._handle_work(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    async def _handle_work(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            if refusal is not None:
                await self.send_response(refusal, send)
                return
            assert request is not None
            # Wait until the response has been sent or the client has disconnected, whichever comes first.
            answering = asyncio.create_task(self._answer(request, send))
            watching = asyncio.create_task(self.listen_for_disconnect(receive))
            try:
                await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
            finally:
                answering.cancel()
                watching.cancel()
                outcome, _gone = await asyncio.gather(answering, watching, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    async def _answer(self, request: HttpRequest, send: Any) -> None:
        response: HttpResponseBase = await self.run_get_response(request)
        try:
            await self.send_response(response, send)
        finally:
            # Do the same as ``response.close``, but send no signal.
            for close in response._resource_closers:  # type: ignore[attr-defined]
                close()
