"""Who is calling: an API key of a client application, or a JSON Web Token signed by the chat product.

Results are cached in this process for ``REMEMBERED_S``: a busy key costs no database query per request, and a revoked
key is refused within that time. While the database is unavailable, the last known results are used, for at most
``VOICE_DATABASE_OUTAGE_S``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core import tokens
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.lookup import SharedLookup
from core.models import ApiKey, ClientApplication, digest_of, not_expired

REMEMBERED_S = 2.5  # plus the 2 s between two checks of an open socket: a revoked key is refused within 5 s
REMEMBERED_CREDENTIALS = 10_000

_USER_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    ``client_id``, ``client_name``: the client application.
    ``user``: the end user's opaque id; without one, ``key:`` and the prefix of the API key.
    ``key_prefix``: the first characters of the API key; None for a token.
    ``rate_key``: names the counter of this caller's requests for the rate limit.
    ``is_bound``: the credential alone says who the end user is; no header can.
    """

    client_id: int
    client_name: str
    user: str
    key_prefix: str | None
    rate_key: str
    is_bound: bool = False

    is_authenticated = True

    @property
    def names_user(self) -> bool:
        """True if a header or a token names the end user."""
        return self.is_bound or self.key_prefix is None or self.user != f"key:{self.key_prefix}"


@dataclass(frozen=True)
class _Client:
    id: int
    name: str
    key_prefix: str | None


async def authenticate(headers: Mapping[str, str]) -> Caller:
    """Authenticate a request by its headers (names in lower case). Raises ``ApiError`` 400 or 401."""
    scheme, _space, credential = headers.get("authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        raise ApiError(ErrorCode.MISSING_CREDENTIALS, _("Send an API key: `Authorization: Bearer <key>`."))
    if credential.count(".") == 2:
        return await _token_caller(credential)
    return await _key_caller(credential, headers.get("x-voice-user", ""))


def end_user(value: str, param: str) -> str:
    """Return ``value`` if it is a valid id of an end user: 1 to 200 printable ASCII characters.

    Raises ``ApiError`` 400, which names ``param``.
    """
    if not _USER_ID.fullmatch(value):
        message = _("{param} must be an opaque id of 1 to 200 printable ASCII characters.").format(param=param)
        raise ApiError(ErrorCode.INVALID_VALUE, message, param=param)
    return value


async def _key_caller(key: str, user: str) -> Caller:
    client = await _remembered(digest_of(key), _find_key, key)
    if client is None:
        raise ApiError(ErrorCode.INVALID_API_KEY, _("This API key is not known or has been revoked."))
    credential = f"key:{client.key_prefix}"
    user = end_user(user, "X-Voice-User") if user else credential
    return Caller(client.id, client.name, user, client.key_prefix, credential)


async def _token_caller(token: str) -> Caller:
    user = end_user(await tokens.subject(token), "sub")
    client = await _remembered(f"client {settings.VOICE_JWT_CLIENT}", _token_client, settings.VOICE_JWT_CLIENT)
    if client is None:
        raise ApiError(ErrorCode.INVALID_API_KEY, _("The client application of this token has been switched off."))
    return Caller(client.id, client.name, user, None, f"user:{client.id}:{user}")


async def active_client(client_id: int) -> str | None:
    """Return the client application's name, or None if it has been switched off."""
    client = await _remembered(f"client id {client_id}", _find_client, str(client_id))
    return client.name if client else None


async def check_still_valid(caller: Caller) -> None:
    """Check the caller again during work that outlasts a request, such as a stream.

    Raises ``ApiError`` 401 once the caller's API key has been revoked or its client application switched off.
    """
    if await active_client(caller.client_id) is None:
        raise ApiError(ErrorCode.INVALID_API_KEY, _("The client application has been switched off."))
    if caller.key_prefix is not None:
        name = f"{caller.client_id} {caller.key_prefix}"
        if await _remembered(f"prefix {name}", _find_prefix, name) is None:
            raise ApiError(ErrorCode.INVALID_API_KEY, _("The API key has been revoked."))


def _find_prefix(client_and_prefix: str) -> _Client | None:
    client_id, _, prefix = client_and_prefix.partition(" ")
    rows = ApiKey.objects.select_related("client").filter(
        not_expired(), client_id=int(client_id), prefix=prefix, revoked_at=None
    )
    row = rows.first()
    return _Client(row.client_id, row.client.name, row.prefix) if row else None


def _find_key(key: str) -> _Client | None:
    row = ApiKey.find(key)
    return _Client(row.client_id, row.client.name, row.prefix) if row else None


def _token_client(name: str) -> _Client | None:
    row, _created = ClientApplication.objects.get_or_create(name=name, defaults={"description": "Signs JWTs"})
    return _Client(row.pk, row.name, None) if row.is_active else None


def _find_client(client_id: str) -> _Client | None:
    row = ClientApplication.objects.filter(pk=int(client_id), is_active=True).first()
    return _Client(row.pk, row.name, None) if row else None


_lookups: SharedLookup[_Client | None] = SharedLookup(REMEMBERED_CREDENTIALS, REMEMBERED_S)


async def _remembered(name: str, find: Callable[[str], _Client | None], argument: str) -> _Client | None:
    return await _lookups.get(name, partial(find, argument))


def forget_lookups() -> None:
    """Make the next request ask the database again."""
    _lookups.forget()


def caller_of(request: Request) -> Caller:
    """Return the caller of an authenticated request."""
    return cast(Caller, request.user)


class BearerAuthentication(BaseAuthentication):
    """Makes ``authenticate`` available to Django REST framework. ``ApiView`` awaits it once per request."""

    async def authenticate(self, request: Request) -> tuple[Caller, None]:  # type: ignore[override]
        headers = {name.lower(): value for name, value in request.headers.items()}
        return await authenticate(headers), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
