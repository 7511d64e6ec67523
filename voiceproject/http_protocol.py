"""uvicorn's HTTP protocol, with limits that uvicorn lacks: on the size and the duration of a request's head."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.error_codes import ErrorCode


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a request whose head (request line and headers) is too large or too slow, and closes the connection.

    - The head is larger than ``VOICE_HEAD_BYTES``: 431.
    - The head is not complete ``VOICE_HEAD_S`` seconds after it began, or no head begins on a new connection within
      that time: 408.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > settings.VOICE_HEAD_BYTES and self._is_head_too_large(data):
                message = f"The request's headers are larger than {settings.VOICE_HEAD_BYTES:,} bytes."
                self._refuse(ErrorCode.HEADERS_TOO_LARGE, message)
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def _is_head_too_large(self, data: bytes) -> bool:
        """Return True if the head without the body exceeds the limit. ``data`` may contain the start of the body."""
        end = data.find(b"\r\n\r\n")
        return end < 0 or self._head_bytes - len(data) + end > settings.VOICE_HEAD_BYTES

    def _start_timer(self) -> None:
        self._stop_timer()
        self._head_timer = self.loop.call_later(settings.VOICE_HEAD_S, self._too_slow)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._refuse(ErrorCode.REQUEST_TIMEOUT, "The request's headers did not arrive in time.")

    def _refuse(self, code: ErrorCode, message: str) -> None:
        """Send the error envelope and close the connection. The application has no request yet, so it cannot answer."""
        error = {"message": message, "type": code.type, "param": None, "code": code}
        body = json.dumps({"error": error}).encode()
        phrase = {408: "Request Timeout", 431: "Request Header Fields Too Large"}[code.status]
        head = (
            f"HTTP/1.1 {code.status} {phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._stop_timer()
        self.transport.write(head.encode() + body)
        self.transport.close()
