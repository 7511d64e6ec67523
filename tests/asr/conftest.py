from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asr.checkpoint import configured
from asr.whisper_engine import WhisperEngine


@pytest.fixture
async def engine() -> AsyncIterator[WhisperEngine]:
    """The real engine on the bundled model, for this test only."""
    engine = WhisperEngine(configured())
    await engine.load()
    yield engine
    await engine.close()
