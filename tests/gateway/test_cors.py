"""Pages of other origins: preflight requests, responses, errors, WebSockets, and refused origins."""

from __future__ import annotations

import httpx
import pytest
from pytest_django import Settings

from gateway.cors import is_allowed

CHAT = "https://chat.example.com"
PREFLIGHT = {
    "Origin": CHAT,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, x-voice-user, x-stainless-lang",
}


@pytest.fixture(autouse=True)
def origins(settings: Settings) -> None:
    settings.VOICE_CORS_ORIGINS = [CHAT]


async def test_it_works(api: httpx.AsyncClient) -> None:
    asked = await api.options("/v1/audio/speech", headers=PREFLIGHT)
    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Origin"] == CHAT
    assert "x-voice-user" in asked.headers["Access-Control-Allow-Headers"]
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    spoken = await api.post("/v1/audio/speech", json={"input": "Selamat pagi."}, headers={"Origin": CHAT})
    assert spoken.headers["Access-Control-Allow-Origin"] == CHAT
    assert "X-Request-Id" in spoken.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in spoken.headers


async def test_a_page_can_read_why_it_was_refused(stranger: httpx.AsyncClient) -> None:
    for path in ("/v1/audio/speech", "/v1/audio/transcriptions"):
        refused = await stranger.post(path, content=b"{}", headers={"Origin": CHAT})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, CHAT)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://chat.example.com"])
async def test_other_origins_get_nothing(stranger: httpx.AsyncClient, origin: str) -> None:
    asked = await stranger.options("/v1/audio/speech", headers={**PREFLIGHT, "Origin": origin})
    assert "Access-Control-Allow-Origin" not in asked.headers
    answer = await stranger.get("/v1/models", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_the_admin_allows_no_other_origin(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/admin/login/", headers={"Origin": CHAT})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ("*", "https://anything.example", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evil.com/.example.com", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost.evil.com:80", False),
        ("https://chat.example.com/", "https://chat.example.com", True),
        ("https://chat.example.com", "https://chat.example.com.evil.com", False),
        ("https://chatxexample.com", "https://chat.example.com", False),
    ],
)
def test_patterns(settings: Settings, allowed: str, origin: str, expected: bool) -> None:
    settings.VOICE_CORS_ORIGINS = [allowed]
    assert is_allowed(origin) is expected
