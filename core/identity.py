"""Authenticate callers by the API key of a client application, or by a JSON Web Token that the chat product has signed.

Each process caches the results of database queries for ``REMEMBERED_S`` seconds, so that requests with the same key
need not all query the database. The time is so short that a revoked key is soon refused. While the database is
unavailable, cached results are used for at most ``VOICE_DATABASE_OUTAGE_S`` seconds.
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
from core.cached_lookups import SharedLookup
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.models import ApiKey, ClientApplication, digest_of, not_expired

REMEMBERED_S = 2.5  # open sockets are checked every 2 s, so a revoked key is refused within 5 s
REMEMBERED_CREDENTIALS = 10_000

_USER_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")


@dataclass(frozen=True)
class Caller:
    """The caller of a request: a client application and, if known, the end user for whom it calls.

    ``client_id``: primary key of the client application.
    ``client_name``: name of the client application.
    ``user``: opaque id of the end user. If the request names no end user, it is ``key:`` followed by ``key_prefix``.
    ``key_prefix``: first characters of the API key; None if the caller has a token instead of a key.
    ``rate_key``: identifies this caller's counter for the rate limit.
    ``is_bound``: whether the credential is a client secret (``gateway.client_secrets``), which is valid for this end
    user only.
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
        """Whether the request names an end user, by a header, a token or a client secret."""
        return self.is_bound or self.key_prefix is None or self.user != f"key:{self.key_prefix}"


@dataclass(frozen=True)
class _Client:
    id: int
    name: str
    key_prefix: str | None


async def authenticate(headers: Mapping[str, str]) -> Caller:
    """Authenticate a request by its headers, and return the caller.

    ``headers``: header values by lower-case name.

    Raise ``ApiError``: 401 for missing or invalid credentials, 400 for an invalid id of the end user, 503 if the public
    keys for tokens cannot be fetched.
    """
    scheme, _space, credential = headers.get("authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        raise ApiError(ErrorCode.MISSING_CREDENTIALS, _("Send an API key: `Authorization: Bearer <key>`."))
    if credential.count(".") == 2:
        return await _token_caller(credential)
    return await _key_caller(credential, headers.get("x-voice-user", ""))


def end_user(value: str, param: str) -> str:
    """Return ``value`` if it is a valid id of an end user.

    A valid id has 1 to 200 printable ASCII characters and no space at the beginning or end.

    ``param``: name of the request parameter, for the error.

    Raise ``ApiError`` 400 if the id is invalid.
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
    """Return the name of the client application; None if it has been switched off."""
    client = await _remembered(f"client id {client_id}", _find_client, str(client_id))
    return client.name if client else None


async def check_still_valid(caller: Caller) -> None:
    """Raise ``ApiError`` 401 if the caller's API key or client application is no longer valid.

    This is the case if the key has been revoked or has expired, or if the client application has been switched off.
    Call this regularly during long work, such as a stream.
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
    """Discard all cached results, so that the next request asks the database."""
    _lookups.forget()


def caller_of(request: Request) -> Caller:
    """Return the caller of an authenticated request."""
    return cast(Caller, request.user)


class BearerAuthentication(BaseAuthentication):
    """Adapter that makes ``authenticate`` available to Django REST framework.

    The framework itself cannot await an authenticator, so ``gateway.views.ApiView`` does.
    """

    async def authenticate(self, request: Request) -> tuple[Caller, None]:  # type: ignore[override]
        headers = {name.lower(): value for name, value in request.headers.items()}
        return await authenticate(headers), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
