"""uvicorn with a graceful shutdown: refuse new work, finish running requests, release all resources and exit with 0."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from django.conf import settings

from gateway.lifecycle import lifecycle
from voiceproject.http_protocol import BoundedHttpProtocol

KEEP_ALIVE_S = 75  # longer than a load balancer's usual 60 s, so that the load balancer closes the connection first
CANCEL_S = 5  # the time to cancel and settle requests that are still running after the grace period


class Server(uvicorn.Server):
    """uvicorn with callbacks at its start and at its shutdown.

    ``on_started()``: called once the server accepts connections.
    ``on_stopping(running)``: called at the first SIGINT or SIGTERM, with the number of running requests.

    At a second signal the server stops without waiting for the running requests.
    """

    def __init__(
        self,
        on_started: Callable[[], None],
        on_stopping: Callable[[int], None],
        application: Any = "voiceproject.asgi:application",
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=BoundedHttpProtocol,
                log_config=None,
                access_log=False,
                lifespan="on",
                server_header=False,
                forwarded_allow_ips=settings.VOICE_TRUSTED_PROXIES,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=CANCEL_S,
                # uvicorn drops the connection above this size. Leave room above the service's own limit, so that the
                # consumer can answer with an error. No compression, because audio does not compress.
                ws_max_size=4 * max(settings.VOICE_WS_MAX_BYTES, settings.VOICE_WS_MAX_JSON_BYTES),
                ws_per_message_deflate=False,
                ws_ping_timeout=None,  # pings only keep proxies from closing; VOICE_WS_IDLE_S closes silent connections
            )
        )
        self._on_started = on_started
        self._on_stopping = on_stopping
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own version raises the signal again at the end, so the process would not exit with 0.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)
        yield

    def _signalled(self) -> None:
        if self._draining is None:
            self._on_stopping(lifecycle().requests)
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        else:
            self.should_exit = self.force_exit = True

    async def _drain(self) -> None:
        await lifecycle().drain(settings.VOICE_GRACE_S)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a TCP socket bound to the address. Raise ``OSError`` if the address is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.set_inheritable(True)
    return bound
