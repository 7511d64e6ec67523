"""Verify the chat product's JSON Web Tokens: HS256 by a shared secret, RS256 by the public keys at a JWKS URL."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from functools import cache

import jwt
from django.conf import settings
from django.utils.translation import gettext as _

from core.error_codes import ErrorCode
from core.errors import ApiError

logger = logging.getLogger(__name__)

LEEWAY_S = 10  # allowed difference between the signer's clock and this one's
KEYS_KEPT_S = 300
REFRESH_PAUSE_S = 10  # tokens with made-up key ids must not cause a fetch each
FETCH_TIMEOUT_S = 5


async def subject(token: str) -> str:
    """Validate a token and return the end user in its ``sub`` claim. Raises ``ApiError`` 401 or 503."""
    try:
        header = jwt.get_unverified_header(token)
        key, algorithm = await _key_for(header)
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=settings.VOICE_JWT_AUDIENCE or None,
            issuer=settings.VOICE_JWT_ISSUER or None,
            leeway=LEEWAY_S,
            options={"require": ["exp", "sub"], "verify_aud": bool(settings.VOICE_JWT_AUDIENCE)},
        )
    except jwt.ExpiredSignatureError as error:
        raise ApiError(ErrorCode.EXPIRED_TOKEN, _("This token has expired.")) from error
    except jwt.PyJWTError as error:
        raise ApiError(ErrorCode.INVALID_API_KEY, _("This token is not valid here.")) from error
    return str(claims["sub"])


async def _key_for(header: dict[str, object]) -> tuple[str | jwt.PyJWK, str]:
    """Return the key and the algorithm to verify a token with. Raises ``InvalidAlgorithmError`` if there is none.

    The algorithm is one for which the settings hold a key; a token's header cannot choose any other.
    """
    match header.get("alg"):
        case "HS256" if settings.VOICE_JWT_SECRET:
            return settings.VOICE_JWT_SECRET, "HS256"
        case "RS256" if settings.VOICE_JWT_JWKS_URL:
            return await _public_keys(settings.VOICE_JWT_JWKS_URL).find(str(header.get("kid", ""))), "RS256"
        case _:
            raise jwt.InvalidAlgorithmError("no key is configured for this algorithm")


class PublicKeys:
    """The public keys at a JWKS URL, cached.

    They are fetched on first use, again when they are old, and when a token names an unknown key.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -KEYS_KEPT_S * 2.0
        self._fetching = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, key_id: str) -> jwt.PyJWK:
        """Return the public key with this id.

        Keys older than ``KEYS_KEPT_S`` are refreshed in the background, so that callers do not wait. Callers wait only
        for an unknown key, or for keys more than twice that old, which may have been withdrawn.

        Raises ``PyJWTError`` for an unknown key, ``ApiError`` 503 while no keys are known.
        """
        known = self._keys.get(key_id)
        if known is None or self._age_s > 2 * KEYS_KEPT_S:  # a key this old may have been withdrawn
            await self._refresh()
            known = self._keys.get(key_id)
        elif self._age_s > KEYS_KEPT_S and not self._fetching.locked():
            refreshing = asyncio.get_running_loop().create_task(self._refresh(), context=contextvars.Context())
            self._tasks.add(refreshing)
            refreshing.add_done_callback(self._tasks.discard)
        if known is None:
            raise jwt.InvalidKeyError(f"no key {key_id!r}")
        return known

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._fetched_at

    async def _refresh(self) -> None:
        """Fetch the keys, at most once per ``REFRESH_PAUSE_S``. Raises ``ApiError`` 503 while no keys are known."""
        async with self._fetching:
            if self._age_s > REFRESH_PAUSE_S:
                await self._fetch()
        if not self._keys:
            message = _("The keys that tokens are signed with cannot be fetched.")
            raise ApiError(ErrorCode.ENGINE_UNAVAILABLE, message, retry_after=REFRESH_PAUSE_S)

    async def _fetch(self) -> None:
        import httpx  # slow to import, so only where it is used

        try:
            async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_S) as http:
                response = await http.get(self._url)
            keys = jwt.PyJWKSet.from_dict(response.raise_for_status().json()).keys
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            logger.warning("cannot fetch the token keys", extra={"url": self._url, "reason": str(error)})
        else:
            self._keys = {key.key_id or "": key for key in keys}
        self._fetched_at = time.monotonic()


@cache
def _public_keys(url: str) -> PublicKeys:
    return PublicKeys(url)
