"""Short-lived tokens with which a web page can open a WebSocket without knowing the application's API key.

A token is signed with Django's secret key. So every process accepts tokens from any other process, and no token is
stored. A token is issued for one end user. Until it expires, it can be used to open sockets and to call
``GET /v1/voice/availability``. A socket stays open after its token has expired. But if the API key with which the token
was issued is revoked or expires, or the client application is switched off, the token becomes invalid and its sockets
are closed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.utils.translation import gettext as _
from rest_framework.request import Request

from core import identity
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import Caller

START = "ek_"
_SALT = "voiceproject.client_secrets"
_SEPARATOR = "."  # a token may be sent as a WebSocket subprotocol, which cannot contain Django's default, a colon


@dataclass(frozen=True)
class ClientSecret:
    """A short-lived token for a browser.

    ``value``: the token itself.
    ``expires_at``: Unix seconds.
    """

    value: str
    expires_at: int


def issue(caller: Caller, *, lifetime_s: int, session: Mapping[str, Any]) -> ClientSecret:
    """Return a new token for the caller and its end user, valid for ``lifetime_s`` seconds.

    ``session``: initial settings of a socket that is opened with the token. They are signed, but not encrypted.
    """
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
    """Return the caller for whom the token was issued, and the session settings in the token.

    Raise ``ApiError`` 401 if the token is invalid or expired, if its API key has been revoked or has expired, or if its
    client application has been switched off.
    """
    try:
        claims = _signer().unsign_object(token.removeprefix(START))
    except signing.BadSignature as error:
        raise ApiError(ErrorCode.INVALID_API_KEY, _("This token is not valid here.")) from error
    if time.time() >= claims["expires"]:
        raise ApiError(ErrorCode.EXPIRED_TOKEN, _("This token has expired. Ask your server for a new one."))
    name = await identity.active_client(claims["client"]) or ""
    caller = Caller(claims["client"], name, claims["user"], claims["key"], claims["rate"], is_bound=True)
    await identity.check_still_valid(caller)
    return caller, claims["session"]


class ClientSecretAuthentication(identity.BearerAuthentication):
    """Authentication that accepts short-lived tokens and all credentials that ``BearerAuthentication`` accepts."""

    async def authenticate(self, request: Request) -> tuple[Caller, None]:  # type: ignore[override]
        scheme, _space, credential = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and credential.strip().startswith(START):
            return (await redeem(credential.strip()))[0], None
        return await super().authenticate(request)


def _signer() -> signing.Signer:
    return signing.Signer(salt=_SALT, sep=_SEPARATOR)
