"""The bounded queue of messages that a WebSocket sends to its client, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.socket_messages import Close

MAX_WAITING = 256  # queued messages; a client that lets more accumulate is cut off
TAKEN_WITHIN_S = 10.0  # time in which a client must read the queued messages, or else it is cut off

Item = str | bytes | Close


class OutgoingQueue:
    """The messages that wait to be sent to one client. One task takes them out with ``send_all``."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Item] = asyncio.Queue(MAX_WAITING)

    def put(self, item: Item) -> bool:
        """Queue an item. Return False if ``MAX_WAITING`` items are queued already."""
        try:
            self._items.put_nowait(item)
        except asyncio.QueueFull:
            return False
        return True

    async def all_taken(self) -> bool:
        """Wait until all items have been passed to the connection. Return False if ``TAKEN_WITHIN_S`` is not enough."""
        try:
            async with asyncio.timeout(TAKEN_WITHIN_S):
                await self._items.join()
        except TimeoutError:
            return False
        return True

    async def send_all(self, send: Callable[[Item], Awaitable[None]]) -> None:
        """Send each item with ``send`` as it arrives. Return after a ``Close``."""
        while True:
            item = await self._items.get()
            with suppress(OSError, RuntimeError):  # the client has disconnected; the reading task ends the connection
                await send(item)
            if isinstance(item, Close):
                return
            self._items.task_done()
