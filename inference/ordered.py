"""Run a stream of awaitables several at a time and yield their results in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, ahead: int
) -> AsyncGenerator[R, None]:
    """At most ``ahead`` items are under way; an error, or the reader leaving, cancels the others."""
    tasks: deque[asyncio.Task[R]] = deque()

    async def call(item: T) -> R:
        return await work(item)

    try:
        async for item in items:
            tasks.append(asyncio.create_task(call(item)))
            if len(tasks) >= ahead:
                yield await tasks[0]
                tasks.popleft()
            while tasks and tasks[0].done():
                yield tasks[0].result()
                tasks.popleft()
        while tasks:
            yield await tasks[0]
            tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
