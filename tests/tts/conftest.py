from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from inference import runtime
from tts.cache import speech_cache


@pytest.fixture
async def espeak() -> AsyncIterator[None]:
    """The default engine, loaded."""
    await runtime.engine("espeak-ng").load()
    yield


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    speech_cache.cache_clear()
