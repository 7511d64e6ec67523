"""Bounded thread pools for CPU work on a request's path.

Several: one for what begins a request (parsing, decoding, finding speech), one for all that comes later (features,
encoding). In one queue a hundred that arrive together would all be decoded before the first is recognised, while the
engine waits. One for open streams. And one, with half as many threads, for what is made ahead of its listener: a text
that fills ten minutes must not stand before somebody's first sentence.
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
    """Submit the function so that messages from its thread are in the caller's language."""
    language = translation.get_language()

    def run() -> R:
        with translation.override(language):
            return function(*args, **kwargs)

    return _pool(name).submit(run)


async def in_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in the pool; the event loop stays free. Cancelled before it starts, it never runs."""
    return await asyncio.wrap_future(_submit("cpu", function, *args, **kwargs))


async def in_first_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``in_pool`` for a request's first steps."""
    return await asyncio.wrap_future(_submit("first", function, *args, **kwargs))


async def in_live_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``in_pool`` for short work that a live speaker waits for, so that it does not queue behind whole files."""
    return await asyncio.wrap_future(_submit("live", function, *args, **kwargs))


async def in_ahead_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``in_pool`` for work needed only later: the next sentences of a speech that is heard while it is made."""
    return await asyncio.wrap_future(_submit("ahead", function, *args, **kwargs))
