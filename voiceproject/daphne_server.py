"""Daphne with the same limits, startup and shutdown as the uvicorn server in ``voiceproject.server``.

Unmodified, Daphne does not run the ASGI lifespan, trusts ``X-Forwarded-For`` from any client, writes large bodies to
disk and stops without waiting for running requests. This module and ``daphne_protocol`` change that. docs/kubernetes.md
lists the differences from uvicorn that remain.

Importing this module installs Twisted's reactor on a new asyncio loop, so only ``manage.py serve --server daphne``
imports it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, cast

from daphne.server import Server as Daphne
from django.conf import settings
from twisted.internet import reactor as _reactor
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.lifecycle import lifecycle
from voiceproject.daphne_protocol import BoundedHttpFactory
from voiceproject.server import CANCEL_S

logger = logging.getLogger(__name__)

FLUSH_POLL_S = 0.05
PING_S = 20
HANDSHAKE_S = 10

reactor: Any = _reactor  # type checkers see a module here, but at run time Twisted puts an object in its place


class DaphneServer(Daphne):
    """Daphne with the same constructor arguments and ``run`` method as ``voiceproject.server.Server``."""

    def __init__(self, on_started: Callable[[], None], on_stopping: Callable[[int], None]) -> None:
        from voiceproject.asgi import application

        self._on_started = on_started
        self._on_stopping = on_stopping
        self._lifespan = Lifespan(application)
        self._stopping: asyncio.Task[None] | None = None
        largest = 4 * max(settings.VOICE_WS_MAX_BYTES, settings.VOICE_WS_MAX_JSON_BYTES)
        super().__init__(
            _by_keyword(ProxyHeadersMiddleware(cast(Any, application), settings.VOICE_TRUSTED_PROXIES)),
            endpoints=["replaced in run()"],
            signal_handlers=False,
            ping_interval=PING_S,  # so that proxies do not close the connection
            ping_timeout=0,  # off, because VOICE_WS_IDLE_S closes silent connections, after an error message
            websocket_timeout=-1,
            websocket_handshake_timeout=HANDSHAKE_S,
            websocket_connect_timeout=int(settings.VOICE_DEADLINE_S),
            websocket_max_message_size=largest,
            websocket_max_frame_size=largest,
            application_close_timeout=int(settings.VOICE_DEADLINE_S),
            server_name="",
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        # The caller has bound these sockets to find out early whether the port is in use. Twisted binds its own.
        for held in sockets or []:
            host, port = held.getsockname()[:2]
            kind = "tcp6" if held.family == socket.AF_INET6 else "tcp"
            held.close()
            self.endpoints = [f"{kind}:port={port}:interface={host.replace(':', chr(92) + ':')}"]
        reactor.callWhenRunning(self._start)
        super().run()

    @property
    def http_factory(self) -> Any:
        return self._http_factory

    @http_factory.setter
    def http_factory(self, _daphnes_own: Any) -> None:
        self._http_factory = BoundedHttpFactory(self)

    def _start(self) -> None:
        loop = reactor._asyncioEventloop
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)
        self._starting = loop.create_task(self._started())

    async def _started(self) -> None:
        await self._lifespan.start()
        self._on_started()

    def _signalled(self) -> None:
        if self._stopping is None:
            self._on_stopping(lifecycle().requests)
            self._stopping = asyncio.get_running_loop().create_task(self._drain())
        else:
            reactor.stop()

    async def _drain(self) -> None:
        """Wait for running requests, cancel those that take too long, release all resources and stop."""
        ends = time.monotonic() + settings.VOICE_GRACE_S
        await lifecycle().drain(settings.VOICE_GRACE_S)
        # A finished request may still have bytes in Daphne's buffers. Wait until they are sent.
        while reactor.getWriters() and time.monotonic() < ends:  # noqa: ASYNC110 - Twisted has no event for it
            await asyncio.sleep(FLUSH_POLL_S)
        left = [one["application_instance"] for one in self.connections.values() if "application_instance" in one]
        left = [instance for instance in left if not instance.done()]
        for instance in left:
            instance.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_S)
        await self._lifespan.stop()
        reactor.stop()


class Lifespan:
    """Runs the ASGI lifespan protocol of an application: startup and shutdown."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._replies: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._living: asyncio.Task[None] | None = None

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        self._living = asyncio.create_task(self._application(scope, self._events.get, self._replies.put))
        await self._send("lifespan.startup")

    async def stop(self) -> None:
        if self._living is not None:
            await self._send("lifespan.shutdown")
            await self._living

    async def _send(self, event: str) -> None:
        assert self._living is not None
        await self._events.put({"type": event})
        replying = asyncio.create_task(self._replies.get())
        await asyncio.wait([replying, self._living], return_when=asyncio.FIRST_COMPLETED)
        replying.cancel()
        if self._living.done():
            self._living.result()  # raises the exception that ended the lifespan, if any


def _by_keyword(application: Any) -> Any:
    """Adapt an application to Daphne, which passes arguments by keyword and addresses as lists instead of tuples."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        for end in ("client", "server"):
            if scope.get(end):
                scope[end] = tuple(scope[end])
        await application(scope, receive, send)

    return called
