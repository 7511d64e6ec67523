"""Short-lived tokens for browsers: a page opens a WebSocket with one and never sees the application's API key.

Signed with Django's secret key, so every process accepts what any other issued and nothing is stored. A token names one
end user and is good for opening sockets until it expires; a socket that is open stays open.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core import signing

from core import identity
from core.errors import ApiError
from core.identity import Caller

START = "ek_"
_SALT = "voiceproject.client_secrets"
_SEPARATOR = "."  # Django's own, a colon, may not stand in the name of a WebSocket subprotocol


@dataclass(frozen=True)
class ClientSecret:
    """``session``: the settings that the socket starts with. ``expires_at``: Unix seconds."""

    value: str
    expires_at: int


def issue(caller: Caller, *, lifetime_s: int, session: Mapping[str, Any]) -> ClientSecret:
    expires_at = int(time.time()) + lifetime_s
    claims = {
        "client": caller.client_id,
        "user": caller.user,
        "key": caller.key_prefix,
        "rate": caller.rate_key,
        "expires": expires_at,
        "session": session,
    }
    return ClientSecret(START + _signer().sign_object(claims), expires_at)


async def redeem(token: str) -> tuple[Caller, Mapping[str, Any]]:
    """Whom the token speaks for and the settings that came with it. Raises ``ApiError`` 401."""
    try:
        claims = _signer().unsign_object(token.removeprefix(START))
    except signing.BadSignature as error:
        raise ApiError(401, "invalid_api_key", "This token is not valid here.") from error
    if time.time() >= claims["expires"]:
        raise ApiError(401, "expired_token", "This token has expired. Ask your server for a new one.")
    name = await identity.active_client(claims["client"])
    if name is None:
        raise ApiError(401, "invalid_api_key", "The client application of this token has been switched off.")
    caller = Caller(claims["client"], name, claims["user"], claims["key"], claims["rate"])
    return caller, claims["session"]


def _signer() -> signing.Signer:
    return signing.Signer(salt=_SALT, sep=_SEPARATOR)
