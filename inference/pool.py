"""Bounded thread pools for CPU work on a request's path.

There are several, so that work does not queue behind work that can wait:

- ``first``: what begins a request (parsing, decoding, finding speech).
- ``cpu``: what comes later (features, encoding). In one pool with the first steps, a hundred requests that arrive
  together would all be decoded before one is recognised, and the engine would be idle meanwhile.
- ``live``: work for open streams.
- ``ahead``, with half as many threads: work that is needed only later. Speech for a text of ten minutes must not delay
  somebody's first sentence.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.utils import translation

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _pool(name: str) -> ThreadPoolExecutor:
    threads = settings.VOICE_CPU_THREADS or os.cpu_count() or 1
    return ThreadPoolExecutor(max(1, threads // 2) if name == "ahead" else threads, thread_name_prefix=name)


def _submit(name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Submit ``function`` to the pool ``name``. Its messages are in the language of the caller."""
    language = translation.get_language()

    def run() -> R:
        with translation.override(language):
            return function(*args, **kwargs)

    return _pool(name).submit(run)


async def in_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in the pool and return its result; the event loop stays free.

    If the caller is cancelled before the function starts, the function never runs.
    """
    return await asyncio.wrap_future(_submit("cpu", function, *args, **kwargs))


async def in_first_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``in_pool`` for the first steps of a request."""
    return await asyncio.wrap_future(_submit("first", function, *args, **kwargs))


async def in_live_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``in_pool`` for short work that a live speaker waits for, so that it does not queue behind whole files."""
    return await asyncio.wrap_future(_submit("live", function, *args, **kwargs))


async def in_ahead_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``in_pool`` for work that is needed only later: the next sentences of a text that is being spoken."""
    return await asyncio.wrap_future(_submit("ahead", function, *args, **kwargs))
