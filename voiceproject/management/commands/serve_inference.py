"""``manage.py serve_inference``: run the speech models for API processes, in one process without Ray.

API processes send their speech work to this process if its URL is in their ``VOICE_INFERENCE_URL``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from prometheus_client import generate_latest

from core import tracing
from gateway.lifecycle import lifecycle
from inference import runtime
from inference.unit_server import LocalUnitHandler, UnitServer
from voiceproject.checks import require_usable_settings
from voiceproject.server import Server, listen


class Command(BaseCommand):
    help = "Serve the speech models to API processes. Stops cleanly on SIGINT and SIGTERM."
    requires_system_checks = []  # the checks take longer than the rest of the start

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("engines", nargs="*", help="engines to serve: asr, espeak-ng, kokoro, coqui (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_usable_settings()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        names = options["engines"] or runtime.names()
        if unknown := set(names) - set(runtime.names()):
            raise CommandError(f"there is no {', '.join(sorted(unknown))}; there is {', '.join(runtime.names())}")
        try:
            listening = listen(settings.VOICE_HOST, settings.PORT)
        except OSError as error:
            raise CommandError(f"cannot listen on port {settings.PORT}: {error.strerror}.") from error
        address = f"http://{settings.VOICE_HOST}:{listening.getsockname()[1]}"
        Server(
            on_started=lambda: self._say(f"Serving {', '.join(names)} on {address}"),
            on_stopping=lambda running: self._say(f"Stopping: {running} under way."),
            application=Application(LocalUnitHandler(names)),
        ).run(sockets=[listening])

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


class Application:
    """The ASGI application of this command: the unit server, which runs speech work, and ``/metrics``.

    The models are loaded before the server accepts connections. The engines are closed when the server stops.
    """

    def __init__(self, handler: LocalUnitHandler) -> None:
        self._handler = handler
        self._server = UnitServer(handler)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["path"] == "/metrics":
            await self._metrics(send)
        else:
            self._server.draining = lifecycle().draining
            with lifecycle().under_way():
                await self._server(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        tracing.start("voice-tier")
        try:
            await self._handler.load()
        except Exception as error:  # noqa: BLE001 - after any error there is nothing to serve
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await runtime.close_all()
        await asyncio.to_thread(tracing.stop)
        await send({"type": "lifespan.shutdown.complete"})

    @staticmethod
    async def _metrics(send: Any) -> None:
        body = await asyncio.to_thread(generate_latest)
        headers = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
