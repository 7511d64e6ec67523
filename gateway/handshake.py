"""Identify the caller who opens a WebSocket, and check the origin of the page that opens it.

Browsers cannot set headers on a WebSocket, so a token may also be sent as a subprotocol or in the URL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.utils.translation import gettext as _

from core import identity
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import Caller
from gateway import client_secrets
from gateway.cors import is_allowed

TOKEN_PROTOCOL = "openai-insecure-api-key."  # nosec B105 # noqa: S105 - OpenAI's prefix
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Handshake:
    """The opening request of a WebSocket.

    ``headers``: header values by lower-case name.
    ``query``: the first value of each query parameter.
    ``subprotocols``: names of the subprotocols that the client offers.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    subprotocols: Sequence[str]

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Handshake:
        """Return the handshake of an ASGI WebSocket scope."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return cls(headers, {name: values[0] for name, values in query.items()}, scope["subprotocols"])

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to accept; None if the client offers none.

        A browser closes the connection unless the server accepts one of the subprotocols on offer. ``realtime`` is
        preferred. The subprotocol that contains the token is accepted only if it is the only one.
        """
        without_token = [name for name in self.subprotocols if not name.startswith(TOKEN_PROTOCOL)]
        if "realtime" in without_token:
            return "realtime"
        return next(iter([*without_token, *self.subprotocols]), None)

    def check_origin(self) -> None:
        """Raise ``ApiError`` 403 if the Origin header names an origin whose pages may not open a WebSocket.

        Allowed are this host, this machine (localhost) and the origins in ``VOICE_CORS_ORIGINS``. A request without an
        Origin header is allowed too, because it comes from a program and not from a page.
        """
        origin = self.headers.get("origin")
        if origin is None or is_allowed(origin):
            return
        try:
            page = urlsplit(origin)
            here = page.netloc == self.headers.get("host") or page.hostname in _THIS_MACHINE
        except ValueError:
            here = False
        if not here:
            message = _(
                "Pages of this origin may not open a connection. The operator can add the origin to VOICE_CORS_ORIGINS."
            )
            raise ApiError(ErrorCode.FORBIDDEN, message, param="origin")

    async def caller(self) -> tuple[Caller, Mapping[str, Any]]:
        """Return the caller, and the session settings in a browser's token (empty for any other credential).

        Raise ``ApiError``: 401 for missing or invalid credentials, 400 for an invalid id of the end user.
        """
        headers = dict(self.headers)
        if "authorization" not in headers:
            headers["authorization"] = f"Bearer {self._browser_token()}"
        credential = headers["authorization"].partition(" ")[2].strip()
        if credential.startswith(client_secrets.START):
            return await client_secrets.redeem(credential)
        return await identity.authenticate(headers), {}

    def _browser_token(self) -> str:
        for name in self.subprotocols:
            if name.startswith(TOKEN_PROTOCOL):
                return name.removeprefix(TOKEN_PROTOCOL)
        token = self.query.get("token", "")
        # Browser histories and proxies' logs contain URLs, so a URL must not contain a long-lived credential.
        if token and not token.startswith(client_secrets.START) and token.count(".") != 2:
            message = _("Only short-lived tokens may be sent in the address; send an API key as a header.")
            raise ApiError(ErrorCode.INVALID_API_KEY, message)
        return token
