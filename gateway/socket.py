"""Base class of the WebSockets for speech work. Sockets pass the same gate as HTTP requests, and have further limits.

A protocol inherits ``SocketConsumer`` and handles the messages. The base class does everything else:

- origin and credentials, rate limit, streams per user, gate and ledger;
- checkpoints of the usage, and limits on message size, idle time and duration;
- a bounded queue of outgoing messages, and an error event before a close;
- an orderly end when the process drains.

Each connection has these tasks, all on one event loop:

- The first task reads messages, at most ``READ_AHEAD_BYTES`` ahead of the handler.
- The second handles them one by one, so that a slow handler slows down only its own client.
- The third sends messages from the bounded queue.
- The fourth ends the connection at its time limits, or when the process drains.

``fail`` and ``finish`` may be called from any of these tasks. Only the first call closes the connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, ClassVar

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError
from django.utils.translation import gettext as _

from core import locale, rate_limit, tracing
from core.context import RequestContext, enter
from core.error_codes import ErrorCode
from core.errors import ApiError, DomainError, as_api_error, report
from gateway import metrics
from gateway.edge import headers_of
from gateway.gate import Kind, Work, request_gate
from gateway.handshake import Handshake
from gateway.lifecycle import DRAINING_RETRY_AFTER_S, lifecycle
from gateway.outgoing import OutgoingQueue
from gateway.socket_messages import NORMAL, Close, check_size, close_code, memory_of, parsed, whole_characters
from gateway.streams import stream_slot
from usage.checkpoints import CHECKPOINT_AUDIO_S
from usage.entry import Measure

logger = logging.getLogger("voiceproject.requests")

RECHECK_S = 2.0  # time between two calls of ``Work.recheck``, so that the kill switch soon ends open streams
# Units of quota that a stream reserves beyond its usage, so that it does not query the database for each message.
RESERVED_AHEAD = {Measure.AUDIO: 30_000, Measure.CHARACTERS: 2_000}
# About half a minute of 16-bit audio at 16 kHz. The server answers pings only while it reads, and most clients hang up
# after 20 s without an answer.
READ_AHEAD_BYTES = 1_048_576
CLOSING_S = 5.0  # time after a close for the client to answer and for the handler to end


class SocketConsumer(AsyncWebsocketConsumer):
    """Base class of WebSocket protocols. An instance serves one connection.

    Protocols override ``opened``, ``on_message``, ``on_binary`` and, as needed, the other hooks.
    """

    kind: ClassVar[Kind]
    #: Names of text fields that a client may split within a character. ``on_message`` then gets half a surrogate pair.
    splittable: ClassVar[frozenset[str]] = frozenset()
    channel_layer_alias = None  # no channel layer, because no other code sends messages to a socket
    work: Work

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._context = RequestContext()
        self._gate = AsyncExitStack()
        self._outgoing = OutgoingQueue()
        self._tasks: list[asyncio.Task[None]] = []
        self._main: asyncio.Task[Any] | None = None
        self._last_activity_at = time.monotonic()
        self._ahead: deque[dict[str, Any]] = deque()  # messages that were read; the first one is being handled
        self._ahead_bytes = 0
        self._has_handled = asyncio.Event()
        self._handling: asyncio.Task[None] | None = None
        self._checkpointed_ms = 0.0
        self._ignores_messages = False  # True if incoming messages are ignored because the connection is about to close
        self._ending: Close | None = None
        self._failure: BaseException | None = None
        self._is_cut = False
        self._client_close_code: int | None = None  # close code that the client has sent

    # --- for protocols ------------------------------------------------------------------------------------------------
    async def opened(self, handshake: Handshake, preset: Mapping[str, Any]) -> None:
        """Start the protocol. Called once the caller is authenticated and the gate (``self.work``) is open.

        ``preset``: session settings in a browser's token; empty for any other credential.
        """

    async def on_message(self, message: dict[str, Any]) -> None:
        """Handle a text message: a JSON object with a ``type``."""

    async def on_binary(self, data: bytes) -> None:
        """Handle a binary message."""

    async def on_error(self, error: Exception) -> None:
        """Handle an exception that ``on_message`` or ``on_binary`` has raised. The default is to close the socket."""
        self.fail(error)

    async def wind_down(self) -> None:
        """Finish open work after the last message. The base class cancels this after ``VOICE_WS_DRAIN_S`` seconds."""

    async def closed(self) -> None:
        """Release all resources, and update the usage for the last time. Always called if ``opened`` was called."""

    @property
    def idle_limit_s(self) -> float:
        """How long the client may send nothing, in seconds; infinite if silence is normal in this protocol."""
        return float(settings.VOICE_WS_IDLE_S)

    def is_working(self) -> bool:
        """Return True while the client waits for a result. The idle limit does not apply then."""
        return bool(self._ahead)

    def close_for(self, answer: ApiError) -> tuple[int, bool]:
        """Return the close code for an error, and whether to send an error event before closing."""
        return close_code(answer), True

    def meter(self) -> None:
        """Set ``audio_ms`` or ``characters`` of ``self.work`` to the usage so far."""

    async def name_user(self, user: str | None) -> None:
        """Admit the end user that a message names. The name is ignored if a header or a token has named an end user.

        Raise the errors of ``Work.admit``, and ``ApiError`` 429 if this user has too many streams.
        """
        before = self.work.user
        await self.work.admit(user)
        if self.work.user != before:
            await self._gate.enter_async_context(stream_slot(self.work.caller, self.work.user))

    def error_event(self, answer: ApiError) -> dict[str, Any]:
        """Return the event that reports an error to the client: the API's error envelope, with ``type`` "error"."""
        return {"type": "error", **answer.envelope()}

    def send_event(self, event: Mapping[str, Any] | bytes) -> None:
        """Queue a message for the client: an event (sent as JSON) or binary data.

        If ``outgoing.MAX_WAITING`` messages are queued already, the client is cut off.
        """
        self._put(event if isinstance(event, bytes) else whole_characters(json.dumps(event, ensure_ascii=False)))

    async def sent(self) -> None:
        """Wait until all queued messages have been passed to the connection.

        A protocol awaits this so that it produces audio no faster than the client reads. A client that does not read
        the queued messages within ``outgoing.TAKEN_WITHIN_S`` seconds is cut off.
        """
        if not await self._outgoing.all_taken():
            self._cut()

    def finish(self) -> None:
        """Close the connection normally, once the queued messages have been sent."""
        if self._ending is None:
            self._end_with(Close(NORMAL, ""))

    def fail(self, error: BaseException) -> None:
        """Send the error to the client, and close the connection."""
        if self._ending is None:
            answer = report(error)
            self._failure = error
            code, sends_event = self.close_for(answer)
            if sends_event:
                self.send_event(self.error_event(answer))
            self._end_with(Close(code, answer.code))

    # --- internal -----------------------------------------------------------------------------------------------------
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        enter(self._context)
        self._main = asyncio.current_task()
        name = f"WEBSOCKET {scope['path']}"
        about = {tracing.REQUEST_ID: self._context.id}
        with (
            lifecycle().under_way(),
            metrics.streams_open.labels(self.kind.value).track_inprogress(),
            tracing.span(name, tracing.SpanRole.SERVER, parent=headers_of(scope), **about),
        ):
            try:
                await super().__call__(scope, receive, send)
            except asyncio.CancelledError:
                if not self._is_cut:
                    raise
            finally:
                await self._clean_up()
        code = self._ending.code if self._ending else self._client_close_code
        extra = {"method": "WEBSOCKET", "path": scope["path"], "status": code}
        logger.info("request", extra={**extra, "duration_ms": self._context.elapsed_ms(), **self._context.notes})

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' method uses a thread for each message, to close old database connections. This is not needed here,
        # because the ledger's thread manages its own connection.
        match message["type"]:
            case "websocket.connect":
                await self.websocket_connect(message)
            case "websocket.receive":
                await self.websocket_receive(message)
            case "websocket.disconnect":
                self._client_close_code = message.get("code")
                if self._handling is not None:
                    await asyncio.wait([self._handling])  # handle the messages that were sent before the disconnect
                raise StopConsumer

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        handshake = Handshake.of(self.scope)
        locale.answer_in(locale.accepted(handshake.headers.get("accept-language", "")))
        # Accept the connection even if it is refused below, so that an error event can give the reason.
        await self.accept(handshake.subprotocol)
        self._tasks.append(asyncio.create_task(self._send_all()))
        try:
            handshake.check_origin()
            caller, preset = await handshake.caller()
            self._context.notes["client"] = caller.client_name
            await rate_limit.spend(caller)
            self.work = await self._gate.enter_async_context(request_gate(caller, self.kind))
            self.work.is_live = True
            await self._gate.enter_async_context(stream_slot(caller, self.work.user))
            self._gate.push_async_callback(self.closed)
            await self.opened(handshake, preset)
        except Exception as error:  # noqa: BLE001 - the client is told
            self.fail(error)
        else:
            self._tasks.append(asyncio.create_task(self._watch()))

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if self._ignores_messages:
            return
        self._last_activity_at = time.monotonic()
        self._ahead.append(message)
        self._ahead_bytes += memory_of(message)
        if self._handling is None or self._handling.done():
            self._handling = asyncio.create_task(self._handle_ahead())
        while self._ahead_bytes > READ_AHEAD_BYTES:
            self._has_handled.clear()
            await self._has_handled.wait()

    async def _handle_ahead(self) -> None:
        while self._ahead:
            if self._ending is None and not self._is_cut:
                await self._handle(self._ahead[0])
            self._ahead_bytes -= memory_of(self._ahead.popleft())
            self._has_handled.set()

    async def _handle(self, message: dict[str, Any]) -> None:
        try:
            if (text := message.get("text")) is not None:
                await self.on_message(await parsed(text, self.splittable))
            else:
                data = message["bytes"]
                check_size(len(data), settings.VOICE_WS_MAX_BYTES)
                await self.on_binary(data)
            await self._note_progress()
        except Exception as error:  # noqa: BLE001 - the client is told
            await self.on_error(error)

    def _end_with(self, close: Close) -> None:
        self._ending = close
        self._ignores_messages = True
        self._put(close)

    def _put(self, item: str | bytes | Close) -> None:
        if not self._outgoing.put(item):
            self._cut()

    def _cut(self) -> None:
        """Close the connection without an error event, because the client does not read messages."""
        if not self._is_cut and self._main is not None:
            logger.warning("cut a client that does not read")
            self._is_cut = self._ignores_messages = True
            self._main.cancel()

    def _stop_handling(self) -> None:
        """Cancel the consumer, because a handler that still waits for an engine would keep the process running."""
        if self._main is not None:
            self._is_cut = True
            self._main.cancel()

    async def _send_all(self) -> None:
        await self._outgoing.send_all(self._send_one)
        await asyncio.sleep(CLOSING_S)
        self._stop_handling()

    async def _send_one(self, item: str | bytes | Close) -> None:
        match item:
            case Close(code, reason):
                await self.close(code, reason)
            case bytes(data):
                await self.send(bytes_data=data)
            case text:
                await self.send(text_data=text)

    async def _watch(self) -> None:
        """End the stream if it is idle or lasts too long, if the process drains, or if ``Work.recheck`` fails."""
        ends_at = time.monotonic() + settings.VOICE_WS_MAX_S
        while not self._ignores_messages:
            if self.is_working():
                self._last_activity_at = time.monotonic()
            idle_at = self._last_activity_at + self.idle_limit_s
            left = min(ends_at, idle_at, time.monotonic() + RECHECK_S) - time.monotonic()
            if left > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await lifecycle().stopping.wait()
            if lifecycle().stopping.is_set():
                message = _("This server is shutting down. Connect again.")
                await self._wind_down(ApiError(ErrorCode.OVER_CAPACITY, message, retry_after=DRAINING_RETRY_AFTER_S))
            elif time.monotonic() >= ends_at:
                message = _("A connection lasts at most {ws_max_s:g} s. Connect again.").format(
                    ws_max_s=settings.VOICE_WS_MAX_S
                )
                await self._wind_down(ApiError(ErrorCode.SESSION_EXPIRED, message))
            elif time.monotonic() >= self._last_activity_at + self.idle_limit_s and not self.is_working():
                message = _("Nothing arrived for {idle_limit_s:g} s.").format(idle_limit_s=self.idle_limit_s)
                await self._wind_down(ApiError(ErrorCode.IDLE_TIMEOUT, message))
            else:
                await self._recheck()

    async def _recheck(self) -> None:
        try:
            await self.work.recheck()
        except (ApiError, DomainError) as error:
            self.fail(error)
        except DatabaseError:  # this task must continue; the next recheck follows soon
            logger.warning("cannot ask whether a stream's user still has voice", exc_info=True)

    async def _wind_down(self, reason: ApiError) -> None:
        self._ignores_messages = True
        try:
            async with asyncio.timeout(settings.VOICE_WS_DRAIN_S):
                if self._handling is not None:
                    await asyncio.wait([self._handling])  # handle the messages that have been read
                if self._ending is None:
                    await self.wind_down()
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 - reported to the client
            self.fail(error)
        self.fail(reason)

    async def _note_progress(self) -> None:
        self.meter()
        if self.work.units:
            await self.work.admit()  # the end user is final now: named by a message, or else the API key itself
            await self.work.reserve(ahead=RESERVED_AHEAD[self.work.kind.measure])
        if self.work.audio_ms - self._checkpointed_ms >= 1000 * CHECKPOINT_AUDIO_S:
            self._checkpointed_ms = self.work.audio_ms
            try:
                await self.work.checkpoint()
            except DatabaseError:  # the next checkpoint, or the settlement, includes this usage
                logger.warning("cannot note a stream's progress", exc_info=True)

    async def _clean_up(self) -> None:
        tasks = [*self._tasks, *([self._handling] if self._handling is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            # The exit stack first calls ``closed``, then frees the stream's slot, then writes the ledger row.
            outcome = self._outcome()
            await self._gate.__aexit__(type(outcome) if outcome else None, outcome, None)
        except DatabaseError:
            logger.exception("a stream could not be settled")

    def _outcome(self) -> BaseException | None:
        """Return the error to record in the ledger; None to record a success.

        A stream with usage is recorded as a success whatever ended it, except for an internal error (500).
        """
        outcome = self._failure
        if self._ending is None:
            outcome = asyncio.CancelledError()
        used = hasattr(self, "work") and (self.work.audio_ms or self.work.characters)
        if outcome is not None and used and as_api_error(outcome).status != 500:
            return None
        return outcome
