"""The limit on open streams per end user, counted in this process or in Redis."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from core.errors import ApiError
from core.identity import Caller
from gateway import streams

CALLER = Caller(1, "chat", "aminah", "vk_x", "key:vk_x")


@pytest.fixture(params=["memory", "redis"])
def stream_limiter(request: pytest.FixtureRequest, settings, monkeypatch) -> streams.StreamLimiter:
    settings.VOICE_STREAMS_PER_USER = 2
    made: streams.StreamLimiter
    if request.param == "redis":
        made = streams.RedisStreamLimiter(request.getfixturevalue("redis_url"))
    else:
        made = streams.MemoryStreamLimiter()
    monkeypatch.setattr(streams, "stream_limiter", lambda: made)
    return made


async def test_it_works(stream_limiter: streams.StreamLimiter) -> None:
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(streams.stream_slot(CALLER, "aminah"))
        with pytest.raises(ApiError) as refusal:
            async with streams.stream_slot(CALLER, "aminah"):
                pass
        assert (refusal.value.status, refusal.value.code) == (429, "too_many_streams")
        async with streams.stream_slot(CALLER, "bala"):
            pass
    assert await stream_limiter.take("1:aminah", "probe") == 1  # all slots have been released
    await stream_limiter.leave("1:aminah", "probe")


async def test_a_client_that_names_no_users_has_no_limit_per_user(stream_limiter: streams.StreamLimiter) -> None:
    async with AsyncExitStack() as held:
        for _ in range(5):
            await held.enter_async_context(streams.stream_slot(CALLER, "key:vk_x"))


async def test_the_streams_of_a_killed_process_expire(redis_url: str, monkeypatch) -> None:
    monkeypatch.setattr(streams, "EXPIRY_S", 1.0)
    stream_limiter = streams.RedisStreamLimiter(redis_url)
    assert await stream_limiter.take("1:chong", "killed") == 1
    assert await stream_limiter.take("1:chong", "second") == 2
    for _ in range(3):
        await asyncio.sleep(0.5)
        await stream_limiter.renew("1:chong", "second")
    assert await stream_limiter.take("1:chong", "third") == 2


async def test_without_redis_nobody_is_limited(settings, monkeypatch) -> None:
    settings.VOICE_STREAMS_PER_USER = 1
    without_redis = streams.RedisStreamLimiter("redis://127.0.0.1:1/0")
    monkeypatch.setattr(streams, "stream_limiter", lambda: without_redis)
    async with streams.stream_slot(CALLER, "aminah"), streams.stream_slot(CALLER, "aminah"):
        pass
