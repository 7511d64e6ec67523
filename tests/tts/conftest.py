from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference import runtime
from tts.apps import offer_kokoro
from tts.cache import speech_cache
from tts.kokoro_engine import NAME, KokoroEngine
from tts.voices import catalogue
from tts.wire import SpeechCodec


@pytest.fixture
async def espeak() -> AsyncIterator[None]:
    """The default engine, loaded."""
    await runtime.engine("espeak-ng").load()
    yield


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    speech_cache.cache_clear()


@pytest.fixture
def offered() -> Any:
    """Offer Kokoro's voices during one test; yield a function that sets the engine of these voices."""
    before = catalogue().all()
    offer_kokoro(None)
    engines: list[KokoroEngine] = []

    def use(engine: Any) -> Any:
        runtime.register(NAME, lambda: engine, SpeechCodec(NAME), has_fallback=True)
        runtime._engines.pop(NAME, None)
        engines.append(engine)
        return engine

    yield use
    runtime._factories.pop(NAME)
    runtime._codecs.pop(NAME)
    runtime._engines.pop(NAME, None)
    runtime._replaced_by_fallback.discard(NAME)
    catalogue.cache_clear()
    assert [voice.id for voice in catalogue().all()] == [voice.id for voice in before]
