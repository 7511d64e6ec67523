from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asr.checkpoint import configured
from asr.whisper_engine import WhisperEngine


@pytest.fixture
async def engine() -> AsyncIterator[WhisperEngine]:
    """A real engine with the bundled model, made for one test only."""
    engine = WhisperEngine(configured())
    await engine.load()
    yield engine
    await engine.close()
