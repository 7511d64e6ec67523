from __future__ import annotations

import asyncio
import time

import httpx
import jwt
import pytest
from asgiref.sync import sync_to_async
from cryptography.hazmat.primitives.asymmetric import rsa
from pytest_django import Settings

from core import identity, tokens
from core.models import ApiKey, ClientApplication
from usage.models import LedgerEntry

SECRET = "a-secret-of-the-chat-product-of-more-than-48-bytes"


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def token(**claims: object) -> str:
    return jwt.encode({"sub": "pengguna-7", "exp": time.time() + 60, **claims}, SECRET, "HS256")


async def user_of(client: httpx.AsyncClient, **headers: str) -> str:
    response = await client.get("/v1/usage", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["user"]


async def test_it_works(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/models")).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic dTpw", "vk_123"])
async def test_no_credentials(stranger: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = await stranger.get("/v1/usage", headers=headers)
    assert code(response) == (401, "missing_credentials")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["vk_wrong", "kunci salah", "\u00e9".encode().decode("latin-1")])
async def test_an_unknown_key(stranger: httpx.AsyncClient, key: str) -> None:
    response = await stranger.get("/v1/models", headers=[(b"authorization", b"Bearer " + key.encode("latin-1"))])
    assert code(response) == (401, "invalid_api_key")


async def test_every_api_call_needs_credentials(stranger: httpx.AsyncClient) -> None:
    calls = [
        ("GET", "/v1/usage"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/audio/transcriptions"),
        ("POST", "/v1/audio/translations"),
        ("POST", "/v1/audio/transcriptions/x/correction"),
        ("POST", "/v1/audio/speech/x/rating"),
    ]
    for method, path in calls:
        assert code(await stranger.request(method, path)) == (401, "missing_credentials"), path


async def test_a_revoked_key_is_refused_within_five_seconds(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/models")).status_code == 200
    await sync_to_async((await ApiKey.objects.aget()).revoke)()
    identity._lookups._tasks.expire(time.monotonic() + 5.0)  # as if five seconds had passed
    assert code(await api.get("/v1/models")) == (401, "invalid_api_key")


async def test_an_inactive_client_is_refused(api: httpx.AsyncClient) -> None:
    await ClientApplication.objects.aupdate(is_active=False)
    assert code(await api.get("/v1/models")) == (401, "invalid_api_key")


async def test_a_busy_key_is_looked_up_once(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    find = ApiKey.find
    monkeypatch.setattr(ApiKey, "find", lambda key: looked_up.append(key) or find(key))
    await asyncio.gather(*(api.get("/v1/models") for _ in range(10)))
    assert len(looked_up) == 1


def test_a_key_is_stored_as_a_digest_and_its_use_recorded_once_a_minute(transactional_db) -> None:
    client = ClientApplication.objects.create(name="chat")
    row, key = ApiKey.issue(client)
    assert key.startswith(row.prefix)
    stored = ApiKey.objects.values().get()
    assert key not in map(str, stored.values())
    assert ApiKey.find(key) == row
    first_use = ApiKey.objects.get().last_used_at
    assert first_use is not None
    ApiKey.find(key)
    assert ApiKey.objects.get().last_used_at == first_use


async def test_without_a_named_user_the_key_is_the_end_user(api: httpx.AsyncClient, api_key: str) -> None:
    assert await user_of(api) == f"key:{api_key[:11]}"
    assert await user_of(api, **{"X-Voice-User": "pengguna-1"}) == "pengguna-1"


@pytest.mark.parametrize("user", ["x" * 201, "a\tb"])
async def test_invalid_end_users_are_refused(api: httpx.AsyncClient, user: str) -> None:
    response = await api.get("/v1/usage", headers={"X-Voice-User": user})
    assert code(response) == (400, "invalid_value")
    assert response.json()["error"]["param"] == "X-Voice-User"


class TestTokens:
    @pytest.fixture(autouse=True)
    def secret(self, settings: Settings) -> None:
        settings.VOICE_JWT_SECRET = SECRET
        identity.forget_lookups()

    async def test_a_tokens_subject_overrides_the_user_header(self, stranger: httpx.AsyncClient) -> None:
        headers = {**bearer(token()), "X-Voice-User": "orang-lain"}
        assert await user_of(stranger, **headers) == "pengguna-7"
        assert await ClientApplication.objects.aget(name="chat")

    async def test_an_expired_token_is_refused(self, stranger: httpx.AsyncClient) -> None:
        response = await stranger.get("/v1/usage", headers=bearer(token(exp=time.time() - 60)))
        assert code(response) == (401, "expired_token")

    @pytest.mark.parametrize(
        "bad",
        [
            jwt.encode({"sub": "x", "exp": time.time() + 60}, "x" * 32, "HS256"),
            jwt.encode({"sub": "x", "exp": time.time() + 60}, SECRET, "HS384"),
            jwt.encode({"sub": "x", "exp": time.time() + 60}, None, "none"),
            jwt.encode({"sub": "x"}, SECRET, "HS256"),
            jwt.encode({"exp": time.time() + 60}, SECRET, "HS256"),
            "a.b.c",
            "..",
        ],
        ids=["other secret", "other algorithm", "unsigned", "no expiry", "no subject", "nonsense", "dots"],
    )
    async def test_an_invalid_token_is_refused(self, stranger: httpx.AsyncClient, bad: str) -> None:
        assert code(await stranger.get("/v1/usage", headers=bearer(bad))) == (401, "invalid_api_key")

    async def test_the_subject_must_be_a_valid_id(self, stranger: httpx.AsyncClient) -> None:
        assert code(await stranger.get("/v1/usage", headers=bearer(token(sub="x" * 201)))) == (400, "invalid_value")

    async def test_audience_and_issuer_are_checked_if_set(
        self, stranger: httpx.AsyncClient, settings: Settings
    ) -> None:
        settings.VOICE_JWT_AUDIENCE = "voice"
        settings.VOICE_JWT_ISSUER = "chat"
        assert code(await stranger.get("/v1/usage", headers=bearer(token()))) == (401, "invalid_api_key")
        assert await user_of(stranger, **bearer(token(aud="voice", iss="chat"))) == "pengguna-7"

    async def test_a_token_of_an_inactive_client_is_refused(self, stranger: httpx.AsyncClient) -> None:
        await ClientApplication.objects.acreate(name="chat", is_active=False)
        assert code(await stranger.get("/v1/usage", headers=bearer(token()))) == (401, "invalid_api_key")

    async def test_the_ledger_has_the_tokens_user_and_client(self, stranger: httpx.AsyncClient) -> None:
        await stranger.post("/v1/audio/speech", headers=bearer(token()), json={"input": "Apa khabar?"})
        entry = await LedgerEntry.objects.select_related("client").aget()
        assert (entry.user, entry.client.name) == ("pengguna-7", "chat")


class TestPublicKeys:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @pytest.fixture(autouse=True)
    def fetches(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Serve the public key at the configured address; return a list to which the URL of each request is added."""
        settings.VOICE_JWT_JWKS_URL = "http://keys.test/jwks.json"
        tokens._public_keys.cache_clear()
        fetches: list[str] = []
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)

        def answer(request: httpx.Request) -> httpx.Response:
            fetches.append(str(request.url))
            return httpx.Response(200, json={"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]})

        client = httpx.AsyncClient
        transport = httpx.MockTransport(answer)
        monkeypatch.setattr("httpx.AsyncClient", lambda **options: client(transport=transport, **options))
        return fetches

    def token(self, key_id: str = "k1") -> str:
        claims = {"sub": "pengguna-9", "exp": time.time() + 60}
        return jwt.encode(claims, self.private, "RS256", headers={"kid": key_id})

    async def test_public_keys_are_fetched_once_for_many_tokens(self, fetches: list[str]) -> None:
        for _ in range(3):
            assert await tokens.subject(self.token()) == "pengguna-9"
        assert len(fetches) == 1

    async def test_unknown_key_ids_do_not_cause_a_fetch_each_time(self, fetches: list[str]) -> None:
        for number in range(3):
            with pytest.raises(Exception, match="not valid"):
                await tokens.subject(self.token(f"made-up-{number}"))
        assert len(fetches) == 1

    async def test_an_invented_key_id_delays_no_other_caller(
        self, fetches: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await tokens.subject(self.token())
        keys = tokens._public_keys("http://keys.test/jwks.json")
        keys._fetched_at -= 2 * tokens.REFRESH_PAUSE_S
        silent = asyncio.Event()

        async def nothing_comes(*_: object) -> None:
            await silent.wait()

        monkeypatch.setattr(keys, "_fetch", nothing_comes)
        stranger = asyncio.create_task(tokens.subject(self.token("made-up")))
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            assert await tokens.subject(self.token()) == "pengguna-9"
        stranger.cancel()

    async def test_old_public_keys_are_refreshed_in_the_background(self, fetches: list[str]) -> None:
        await tokens.subject(self.token())
        tokens._public_keys("http://keys.test/jwks.json")._fetched_at -= 1.5 * tokens.KEYS_KEPT_S
        await asyncio.gather(*(tokens.subject(self.token()) for _ in range(5)))
        async with asyncio.timeout(1):
            while len(fetches) < 2:
                await asyncio.sleep(0)
        assert len(fetches) == 2

    async def test_a_failed_fetch_is_not_repeated_for_each_token(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def refuse(request: httpx.Request) -> httpx.Response:
            asked.append(1)
            return httpx.Response(500)

        client = httpx._client.AsyncClient  # the fixture has replaced the usual name
        monkeypatch.setattr("httpx.AsyncClient", lambda **_: client(transport=httpx.MockTransport(refuse)))
        settings.VOICE_JWT_JWKS_URL = "http://elsewhere.test/jwks.json"
        for _ in range(3):
            with pytest.raises(Exception, match="cannot be fetched"):
                await tokens.subject(self.token())
        assert len(asked) == 1

    async def test_a_public_key_is_not_accepted_as_a_shared_secret(self, settings: Settings) -> None:
        settings.VOICE_JWT_SECRET = ""
        forged = jwt.encode({"sub": "x", "exp": time.time() + 60}, "x" * 32, "HS256")
        with pytest.raises(Exception, match="not valid"):
            await tokens.subject(forged)
