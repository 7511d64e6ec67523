"""Process several items of a stream at the same time, and yield the results in the order of the items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, ahead: int
) -> AsyncGenerator[R, None]:
    """Run ``work`` on at most ``ahead`` items at the same time, and yield the results in the order of the items.

    Each result is yielded as soon as it is ready and all earlier results have been yielded. It does not wait for the
    next item to arrive. If ``work`` raises an exception or the consumer stops iterating, all other items are cancelled.
    """
    room = asyncio.Semaphore(ahead)
    started: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue()
    unfinished: set[asyncio.Future[R]] = set()

    async def call(item: T) -> R:
        return await work(item)

    async def feed() -> None:
        try:
            async for item in items:
                await room.acquire()
                task = asyncio.create_task(call(item))
                unfinished.add(task)
                started.put_nowait(task)
            started.put_nowait(None)
        except Exception as error:  # noqa: BLE001 - raised where the results are read
            failed: asyncio.Future[R] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            started.put_nowait(failed)

    feeding = asyncio.create_task(feed())
    try:
        while (task := await started.get()) is not None:
            result = await task
            unfinished.discard(task)
            room.release()
            yield result
    finally:
        under_way: list[asyncio.Future[Any]] = [feeding, *unfinished]
        for future in under_way:
            future.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
