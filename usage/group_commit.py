"""Group commit: items that are submitted at the same time share one transaction, but each item has its own outcome."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from core.db_health import database

T = TypeVar("T")
R = TypeVar("R")

LARGEST_COMMIT = 500


class GroupCommit(Generic[T, R]):
    """Commits items in groups. Use an instance in one event loop only.

    ``run``: calls a function in the thread that has the database connection, and returns the function's result.
    ``commit``: writes a list of items, and returns the outcome or the error of each item.
    """

    def __init__(
        self,
        run: Callable[[Callable[[], list[R | DatabaseError]]], Awaitable[list[R | DatabaseError]]],
        commit: Callable[[list[T]], list[R | DatabaseError]],
    ) -> None:
        self._run = run
        self._commit = commit
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Commit the item, and return its outcome. Raise ``DatabaseError`` if the commit fails."""
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, committed))
        if self._committing is None:
            # The empty context separates the task from the request that starts it, because the task may outlive it.
            self._committing = loop.create_task(self._commit_all(), context=contextvars.Context())
        return await committed

    async def drain(self) -> None:
        """Wait until all items submitted so far have been committed or have failed."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:LARGEST_COMMIT]
                self._waiting = self._waiting[LARGEST_COMMIT:]
                items = [item for item, _committed in batch]
                outcomes: Sequence[R | Exception]
                try:
                    outcomes = await self._run(partial(self._commit, items))
                except Exception as error:  # noqa: BLE001 - whatever the error, no submitter may wait for ever
                    outcomes = [error] * len(batch)
                for (_item, committed), outcome in zip(batch, outcomes, strict=True):
                    if committed.done():  # the request that submitted the item was cancelled
                        continue
                    if isinstance(outcome, Exception):
                        committed.set_exception(outcome)
                    else:
                        committed.set_result(outcome)
        finally:
            self._committing = None


def together_or_each(items: list[T], write: Callable[[list[T]], list[R]]) -> list[R | DatabaseError]:
    """Write all items in one transaction. If it fails, write each item in a transaction of its own.

    Return the outcome or the error of each item. No item fails because of another item. If the database is unavailable,
    all items fail after one attempt to connect, and later calls fail at once.

    ``write``: writes items inside a transaction, and returns their outcomes.
    """
    if database.is_unavailable:
        return [OperationalError("the database is unavailable")] * len(items)
    try:
        connection.ensure_connection()
        try:
            with transaction.atomic():
                return [*write(items)]
        except (DatabaseError, InterfaceError):
            if connection.connection is None:  # the connection broke, and Django could not replace it
                raise
            connection.close()  # the connection may have caused the error
        connection.ensure_connection()
    except (DatabaseError, InterfaceError) as error:
        gone = OperationalError(str(error))
        database.note_unavailable(gone)
        return [gone] * len(items)
    outcomes: list[R | DatabaseError] = []
    for item in items:
        try:
            with transaction.atomic():
                outcomes += write([item])
        except DatabaseError as error:
            outcomes.append(error)
        except InterfaceError as error:  # the connection broke; InterfaceError is no subclass of DatabaseError
            outcomes.append(OperationalError(str(error)))
    return outcomes
