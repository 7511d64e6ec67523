"""Verify the JSON Web Tokens that the chat product signs.

A token is signed either with HS256 and a shared secret, or with RS256 and a private key. In the second case, the public
key is fetched from a JWKS URL.
"""

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

LEEWAY_S = 10  # tolerated difference between the signer's clock and this machine's
KEYS_KEPT_S = 300
REFRESH_PAUSE_S = 10  # minimum time between two fetches, because anybody can send tokens with unknown key ids
FETCH_TIMEOUT_S = 5


async def subject(token: str) -> str:
    """Verify a token and return the end user's id in its ``sub`` claim.

    Raise ``ApiError``: 401 for an invalid token, 503 if the public keys cannot be fetched.
    """
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
    """Return the key and the algorithm with which to verify a token.

    ``header``: the token's header, which names the algorithm.

    Raise ``InvalidAlgorithmError`` if no key is configured for the algorithm. So a forged token cannot select a weaker
    algorithm.
    """
    match header.get("alg"):
        case "HS256" if settings.VOICE_JWT_SECRET:
            return settings.VOICE_JWT_SECRET, "HS256"
        case "RS256" if settings.VOICE_JWT_JWKS_URL:
            return await _public_keys(settings.VOICE_JWT_JWKS_URL).find(str(header.get("kid", ""))), "RS256"
        case _:
            raise jwt.InvalidAlgorithmError("no key is configured for this algorithm")


class PublicKeys:
    """A cache of the public keys at a JWKS URL.

    The keys are fetched on first use, when they are older than ``KEYS_KEPT_S``, and when a token names an unknown key,
    but at most once every ``REFRESH_PAUSE_S`` seconds.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -KEYS_KEPT_S * 2.0
        self._fetching = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, key_id: str) -> jwt.PyJWK:
        """Return the public key with this id.

        If the keys are older than ``KEYS_KEPT_S``, they are fetched again in the background. The caller waits for the
        fetch only if the key is unknown, or if the keys are older than twice ``KEYS_KEPT_S``.

        Raise ``InvalidKeyError`` for an unknown key, and ``ApiError`` 503 if no keys have been fetched so far.
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
        """Fetch the keys, unless they were fetched within the last ``REFRESH_PAUSE_S`` seconds.

        Raise ``ApiError`` 503 if no keys have been fetched so far.
        """
        async with self._fetching:
            if self._age_s > REFRESH_PAUSE_S:
                await self._fetch()
        if not self._keys:
            message = _("The keys that tokens are signed with cannot be fetched.")
            raise ApiError(ErrorCode.ENGINE_UNAVAILABLE, message, retry_after=REFRESH_PAUSE_S)

    async def _fetch(self) -> None:
        import httpx  # slow to import, so imported only where it is used

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
