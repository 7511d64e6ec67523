from __future__ import annotations

import httpx
import pytest
from pytest_django import Settings

from core import rate_limit
from core.identity import Caller
from core.per_loop import PerLoop

CALLER = Caller(1, "chat", "key:vk_x", "vk_x", "key:vk_x")


@pytest.fixture(autouse=True)
def fresh_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_limiter", PerLoop(rate_limit._make_limiter))


async def test_headers_count_down(api: httpx.AsyncClient, settings: Settings) -> None:
    settings.VOICE_RATE_LIMIT = 10
    left = [(await api.get("/v1/models")).headers["X-RateLimit-Remaining-Requests"] for _ in range(3)]
    assert left == ["9", "8", "7"]


async def test_each_key_has_its_own_count(settings: Settings) -> None:
    settings.VOICE_RATE_LIMIT = 1
    other = Caller(1, "chat", "key:vk_y", "vk_y", "key:vk_y")
    limits = [await rate_limit.spend(caller) for caller in (CALLER, CALLER, other)]
    assert [limit.exceeded for limit in limits] == [False, True, False]


async def test_off(settings: Settings) -> None:
    settings.VOICE_RATE_LIMIT = 0
    assert not (await rate_limit.spend(CALLER)).exceeded


async def test_without_redis_nobody_is_limited(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:2/0"
    assert not (await rate_limit.spend(CALLER)).exceeded
    assert "Redis is unavailable" in caplog.text
