from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from inference.ordered import in_order


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_it_works() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.01 * (5 - number))  # the last unit is ready first
        return number

    assert [result async for result in in_order(numbers(5), work, ahead=3)] == [0, 1, 2, 3, 4]


async def test_at_most_ahead_items_are_in_progress() -> None:
    running = most = 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return number

    assert len([result async for result in in_order(numbers(20), work, ahead=4)]) == 20
    assert 2 <= most <= 4


async def test_an_error_cancels_the_others() -> None:
    cancelled: list[int] = []

    async def work(number: int) -> int:
        if number == 1:
            raise ValueError("no")
        try:
            await asyncio.sleep(10 if number else 0)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    with pytest.raises(ValueError, match="no"):
        async for _ in in_order(numbers(4), work, ahead=4):
            pass
    assert sorted(cancelled) == [2, 3]


async def test_a_result_does_not_wait_for_the_next_item() -> None:
    more = asyncio.Event()

    async def slowly() -> AsyncIterator[int]:
        yield 1
        await more.wait()
        yield 2

    async def work(number: int) -> int:
        return number

    results = in_order(slowly(), work, ahead=4)
    assert await asyncio.wait_for(anext(results), 1) == 1
    more.set()
    assert [result async for result in results] == [2]


async def test_an_error_of_the_item_source_is_raised_to_the_reader() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    async def work(number: int) -> int:
        return number

    results = in_order(broken(), work, ahead=4)
    assert await anext(results) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(results)
