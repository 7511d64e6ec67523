"""An HTTP client that uses little CPU time, because it runs on the same machine as the measured server.

A request is built once, as bytes, and can then be sent many times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

import httptools


@dataclass(frozen=True)
class Answer:
    """An HTTP response. The names of ``headers`` are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether the status is 200 and the body is not empty."""
        return self.status == 200 and bool(self.body)


class Client:
    """An HTTP client for one event loop.

    It opens a new connection only if none is idle. It keeps connections open until the end, unless a request fails.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout_s: float = 300.0) -> None:
        address = urlsplit(url)
        self._host = str(address.hostname)
        self._port = int(address.port or 80)
        self._timeout_s = timeout_s
        self._headers = {"Host": address.netloc, **headers}
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for connection in self._idle:
            connection.close()

    def request(self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> bytes:
        """Return the bytes of a request, to be passed to ``send``."""
        fields = {**self._headers, **headers, "Content-Length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode() + body

    async def send(self, request: bytes) -> Answer:
        """Send a request and return the response.

        Raise ``OSError`` if the connection fails and ``TimeoutError`` if no response arrives in time.
        """
        connection = await self._connection()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing:
                return connection
        loop = asyncio.get_running_loop()
        _transport, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection


class _Connection(asyncio.Protocol):
    """A connection that handles one request at a time.

    The HTTP parser calls the methods whose names begin with ``on_``.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def send(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error if isinstance(error, OSError) else ConnectionError("the server closed the connection"))

    def _fail(self, error: OSError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), b"".join(self._body), self._headers)
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
        self._begin()
