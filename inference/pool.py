"""One bounded thread pool for CPU work on a request's path: decoding, features, encoding."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.VOICE_CPU_THREADS or os.cpu_count() or 1, thread_name_prefix="cpu")


async def in_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in the pool; the event loop stays free. Cancelled before it starts, it never runs."""
    return await asyncio.wrap_future(_pool().submit(function, *args, **kwargs))
