"""How many streams an end user has open, in this process and in Redis."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from core.errors import ApiError
from core.identity import Caller
from gateway import streams

CALLER = Caller(1, "chat", "aminah", "vk_x", "key:vk_x")


@pytest.fixture(params=["memory", "redis"])
def seats(request: pytest.FixtureRequest, settings, monkeypatch) -> streams.Seats:
    settings.VOICE_STREAMS_PER_USER = 2
    made: streams.Seats
    if request.param == "redis":
        made = streams.RedisSeats(request.getfixturevalue("redis_url"))
    else:
        made = streams.MemorySeats()
    monkeypatch.setattr(streams, "seats", lambda: made)
    return made


async def test_it_works(seats: streams.Seats) -> None:
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(streams.seat(CALLER, "aminah"))
        with pytest.raises(ApiError) as refusal:
            async with streams.seat(CALLER, "aminah"):
                pass
        assert (refusal.value.status, refusal.value.code) == (429, "too_many_streams")
        async with streams.seat(CALLER, "bala"):
            pass
    assert await seats.take("1:aminah", "probe") == 1  # all have been given back
    await seats.leave("1:aminah", "probe")


async def test_an_application_that_names_nobody_is_not_one_user(seats: streams.Seats) -> None:
    async with AsyncExitStack() as held:
        for _ in range(5):
            await held.enter_async_context(streams.seat(CALLER, "key:vk_x"))


async def test_the_seats_of_a_killed_process_expire(redis_url: str, monkeypatch) -> None:
    monkeypatch.setattr(streams, "EXPIRY_S", 1.0)
    seats = streams.RedisSeats(redis_url)
    assert await seats.take("1:chong", "killed") == 1
    assert await seats.take("1:chong", "second") == 2
    for _ in range(3):
        await asyncio.sleep(0.5)
        await seats.renew("1:chong", "second")
    assert await seats.take("1:chong", "third") == 2


async def test_redis_being_away_limits_nobody(settings, monkeypatch) -> None:
    settings.VOICE_STREAMS_PER_USER = 1
    away = streams.RedisSeats("redis://127.0.0.1:1/0")
    monkeypatch.setattr(streams, "seats", lambda: away)
    async with streams.seat(CALLER, "aminah"), streams.seat(CALLER, "aminah"):
        pass
