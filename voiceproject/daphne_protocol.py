"""Daphne's HTTP protocol, with limits on the size and duration of a request's head and body.

Twisted accepts a body of any size and writes a body of 100 kB or more to a temporary file. Here bodies stay in memory,
because users' speech must never be written to disk.
"""

from __future__ import annotations

import io
import json
import time
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from twisted.internet import reactor as _reactor
from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol

from core.error_codes import ErrorCode
from voiceproject.server import KEEP_ALIVE_S

reactor: Any = _reactor
PHRASES = {408: b"Request Timeout", 413: b"Content Too Large", 431: b"Request Header Fields Too Large"}


class BoundedChannel(HTTPChannel):
    """Refuses a request whose head (request line and headers) is too large or too slow.

    - The head is larger than ``VOICE_HEAD_BYTES``: 431.
    - The head is not complete after ``VOICE_HEAD_S`` seconds: 408.
    """

    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self.totalHeadersSize = self.MAX_LENGTH = settings.VOICE_HEAD_BYTES
        self._head_timer: Any = None
        self._is_refused = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self._start_timer()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self._stop_timer()
        super().connectionLost(reason)

    def lineReceived(self, line: bytes) -> None:
        self._start_timer()
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self._head_too_large()
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._head_too_large()

    def allHeadersReceived(self) -> None:
        self._stop_timer()
        super().allHeadersReceived()

    def refuse(self, code: ErrorCode, message: str) -> None:
        """Answer with the error envelope, ignore all further input and close the connection."""
        if self._is_refused:
            return
        self._is_refused = True
        self._stop_timer()
        error = {"message": message, "type": code.type, "param": None, "code": code}
        body = json.dumps({"error": error}).encode()
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        self.transport.write(head % (code.status, PHRASES[code.status], len(body)) + body)
        self.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if not self._is_refused:
            super().dataReceived(data)

    def _head_too_large(self) -> None:
        message = f"The request's headers are larger than {settings.VOICE_HEAD_BYTES:,} bytes."
        self.refuse(ErrorCode.HEADERS_TOO_LARGE, message)

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = reactor.callLater(settings.VOICE_HEAD_S, self._too_slow)

    def _stop_timer(self) -> None:
        if self._head_timer is not None and self._head_timer.active():
            self._head_timer.cancel()
        self._head_timer = None

    def _too_slow(self) -> None:
        self.refuse(ErrorCode.REQUEST_TIMEOUT, "The request's headers did not arrive in time.")


class BoundedRequest(WebRequest):
    """Keeps the request body in memory, and refuses a body that is too large or too slow.

    - The body is larger than ``VOICE_MAX_UPLOAD_BYTES`` plus the overhead of a multipart form: 413.
    - The body arrives at less than ``VOICE_BODY_MIN_BYTES_S`` bytes per second, after a grace period of
      ``VOICE_BODY_GRACE_S`` seconds, or is not complete after ``VOICE_DEADLINE_S`` seconds: 408.
    """

    _pace_timer: Any = None

    def gotLength(self, length: int | None) -> None:
        self.content = io.BytesIO()
        self._began = time.monotonic()
        self._received = 0
        if length is not None and length > self._limit:
            self._too_large()
        elif length != 0:
            self._watch_pace()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._limit:
            self._too_large()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self._stop_watching()
        super().requestReceived(command, path, version)

    def connectionLost(self, reason: Any) -> None:
        self._stop_watching()
        super().connectionLost(reason)

    @property
    def _limit(self) -> int:
        return int(settings.VOICE_MAX_UPLOAD_BYTES + settings.MULTIPART_OVERHEAD_BYTES)

    def _too_large(self) -> None:
        self._stop_watching()
        self.channel.refuse(ErrorCode.FILE_TOO_LARGE, f"The request body is larger than {self._limit:,} bytes.")

    def _watch_pace(self) -> None:
        allowed_s = settings.VOICE_BODY_GRACE_S + self._received / settings.VOICE_BODY_MIN_BYTES_S
        left_s = self._began + min(allowed_s, settings.VOICE_DEADLINE_S) - time.monotonic()
        if left_s > 0:
            self._pace_timer = reactor.callLater(left_s, self._watch_pace)
        else:
            message = "The request body arrives too slowly. Send it again over a better connection."
            self.channel.refuse(ErrorCode.REQUEST_TIMEOUT, message)

    def _stop_watching(self) -> None:
        if self._pace_timer is not None and self._pace_timer.active():
            self._pace_timer.cancel()
        self._pace_timer = None


class BoundedHttpFactory(HTTPFactory):
    protocol = staticmethod(lambda: _GenericHTTPChannelProtocol(BoundedChannel()))
    timeOut = KEEP_ALIVE_S

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol
