"""Thread pools of limited size for the CPU work of requests.

There are several pools, so that urgent work does not wait for other work:

- ``first``: the first steps of a request (parsing, decoding audio, finding speech).
- ``cpu``: the later steps of a request (computing features, encoding audio). These steps do not share a pool with the
  first ones. Otherwise, if a hundred requests arrived together, the audio of all of them would be decoded before the
  first could be recognised, and the engine would be idle meanwhile.
- ``live``: work for open streams.
- ``ahead``: work whose result is needed only later, such as the rest of a long text that is being spoken. This pool has
  half as many threads as the others, so that a ten-minute text does not delay another user's first sentence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.utils import translation

from inference import processor

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _pool(name: str) -> ThreadPoolExecutor:
    threads = settings.VOICE_CPU_THREADS or processor.cores()
    return ThreadPoolExecutor(max(1, threads // 2) if name == "ahead" else threads, thread_name_prefix=name)


def _submit(name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Run ``function`` in the pool ``name``. Keep the caller's language active, so that messages are translated."""
    language = translation.get_language()

    def run() -> R:
        with translation.override(language):
            return function(*args, **kwargs)

    return _pool(name).submit(run)


async def in_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in the ``cpu`` pool without blocking the event loop, and return its result.

    If the caller is cancelled before the function starts, the function does not run.
    """
    return await asyncio.wrap_future(_submit("cpu", function, *args, **kwargs))


async def in_first_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do the same as ``in_pool``, but in the ``first`` pool, which is for the first steps of a request."""
    return await asyncio.wrap_future(_submit("first", function, *args, **kwargs))


async def in_live_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do the same as ``in_pool``, but in the ``live`` pool, which is for short pieces of work of open streams."""
    return await asyncio.wrap_future(_submit("live", function, *args, **kwargs))


async def in_ahead_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do the same as ``in_pool``, but in the ``ahead`` pool, which is for results that are needed only later."""
    return await asyncio.wrap_future(_submit("ahead", function, *args, **kwargs))
