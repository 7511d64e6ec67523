"""The admin's and the API page's own files, by WhiteNoise, straight from the packages: nothing to collect first."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.contrib.staticfiles import finders
from whitenoise import WhiteNoise

from gateway.edge import HttpApp, headers_of

MAX_AGE_S = 3600
CHUNK_BYTES = 65_536


class StaticFiles:
    """Answers below ``prefix`` with a file, and leaves everything else to ``app``."""

    def __init__(self, app: HttpApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix
        # `autorefresh` looks a file up when it is asked for: a scan of them all would delay the start.
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
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        return int(response.status), headers, response.file
