"""Serve static files with WhiteNoise, directly from ``static/`` and the installed packages.

``collectstatic`` is not needed.
"""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from cachetools import LRUCache
from django.contrib.staticfiles import finders
from whitenoise import WhiteNoise

from gateway.edge import HttpApp, headers_of

MAX_AGE_S = 3600
CHUNK_BYTES = 65_536
COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg+xml")
MIN_COMPRESSED_BYTES = 1_024


class StaticFiles:
    """Answers GET and HEAD requests for a static file below ``prefix``, and passes all other requests to ``app``."""

    def __init__(self, app: HttpApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix
        # ``autorefresh`` looks a file up when it is requested. Without it, WhiteNoise scans all files at the start.
        self._files = WhiteNoise(None, autorefresh=True, max_age=MAX_AGE_S, allow_all_origins=False)
        for finder in finders.get_finders():
            for storage in getattr(finder, "storages", {}).values():
                self._files.add_files(storage.location, prefix)

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        is_static = scope["path"].startswith(self._prefix) and scope["method"] in ("GET", "HEAD")
        found = await asyncio.to_thread(self._open, scope) if is_static else None
        if found is None:
            await self._app(scope, receive, send)
            return
        status, headers, file = found
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        if file is not None:
            with file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _open(self, scope: HTTPScope) -> tuple[int, list[tuple[bytes, bytes]], Any] | None:
        static_file = self._files.find_file(scope["path"])
        if static_file is None:
            return None
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers_of(scope).items()}
        response = static_file.get_response(scope["method"], environ)
        headers = list(response.headers)
        file = response.file
        if file is not None and int(response.status) == 200 and _is_compressible(headers, headers_of(scope)):
            data = _compressed(scope["path"], dict(headers).get("Last-Modified", ""), file.read)
            file.close()
            file = io.BytesIO(data)
            headers = [
                (name, value) for name, value in headers if name.lower() not in ("content-length", "vary", "etag")
            ]
            headers += [("Content-Encoding", "gzip"), ("Content-Length", str(len(data))), ("Vary", "Accept-Encoding")]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return int(response.status), encoded, file


def _is_compressible(headers: list[tuple[str, str]], asked: Mapping[str, str]) -> bool:
    given = {name.lower(): value for name, value in headers}
    is_text = given.get("content-type", "").startswith(COMPRESSIBLE)
    is_large = int(given.get("content-length", 0)) >= MIN_COMPRESSED_BYTES
    return is_text and is_large and "content-encoding" not in given and "gzip" in asked.get("accept-encoding", "")


_cache: LRUCache[tuple[str, str], bytes] = LRUCache(maxsize=8_388_608, getsizeof=len)


def _compressed(path: str, changed: str, read: Callable[[], bytes]) -> bytes:
    """Return the content of a file, compressed with gzip. Use the cache if possible.

    ``changed``: when the file was last modified (``Last-Modified``). If it has changed, the file is read again.
    ``read``: reads the file.

    Two threads may compress the same file at the same time, which is harmless.
    """
    if (path, changed) not in _cache:
        data = gzip.compress(read(), compresslevel=6, mtime=0)
        with suppress(ValueError):  # the file is larger than the whole cache
            _cache[path, changed] = data
        return data
    return _cache[path, changed]
