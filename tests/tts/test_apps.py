"""Which engines and voices an API process offers if its models run in the inference tier."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from pytest_django import Settings

from gateway.lifecycle import Lifecycle
from inference import remote, runtime
from inference.unit_server import TierStatus, UnitServer
from inference.wire import Reply
from tests.inference.unit_handlers import IDLE, ScriptedUnitHandler, serving
from tts import DID_NOT_LOAD, models_offered
from tts.apps import register_kokoro
from tts.brownout import NEURAL, why_not_neural
from tts.kokoro_voices import kokoro_voices
from tts.voices import catalogue, default_voice


class SpeechTier(ScriptedUnitHandler):
    """The unit handler of a tier with eSpeak NG and, if ``has_kokoro`` is set, Kokoro.

    ``failing_about``: number of the next requests for the tier's voices that fail.
    """

    def __init__(self) -> None:
        super().__init__(self._refuse)
        self.has_kokoro = True
        self.failing_about = 0

    @staticmethod
    async def _refuse(_frame: bytes) -> Reply:
        raise NotImplementedError

    @property
    def engines(self) -> list[str]:
        return ["espeak-ng", NEURAL] if self.has_kokoro else ["espeak-ng"]

    async def status(self) -> TierStatus:
        return TierStatus({name: [{"process": "test", **asdict(IDLE)}] for name in self.engines}, [], {})

    async def about(self) -> dict[str, dict[str, Any]]:
        if self.failing_about:
            self.failing_about -= 1
            raise RuntimeError("no answer")
        voices = {"espeak-ng": catalogue().all(), NEURAL: kokoro_voices(None)}
        return {
            name: {
                "voices": [
                    {**asdict(voice), "parameters": dict(voice.parameters)}
                    for voice in voices[name]
                    if voice.engine == name
                ]
            }
            for name in self.engines
        }


@pytest.fixture
async def tier(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SpeechTier]:
    """A tier that this process uses for its speech models. ``VOICE_TTS_MODEL`` is ``auto``."""
    for name in ("_factories", "_codecs", "_warm_ups"):
        monkeypatch.setattr(
            runtime, name, {key: value for key, value in getattr(runtime, name).items() if key != "asr"}
        )
    monkeypatch.setattr(runtime, "_engines", {})
    made = SpeechTier()
    async with serving(UnitServer(made)) as url:
        settings.VOICE_INFERENCE_URL = [url]
        settings.VOICE_TTS_MODEL = "auto"
        remote.shared_tier.cache_clear()
        yield made
        await runtime.close_all()
    remote.shared_tier.cache_clear()
    catalogue.cache_clear()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.lifecycle.RETRY_EVERY_S", 0.02)
    monkeypatch.setattr("inference.tier.PROBE_EVERY_S", 0.05)


async def neural_voice() -> None:
    """Wait until the default voice is one of Kokoro's."""
    async with asyncio.timeout(10):
        while default_voice().engine != NEURAL:
            await asyncio.sleep(0.01)


@pytest.fixture
async def lifecycle(tier: SpeechTier) -> AsyncIterator[Lifecycle]:
    made = Lifecycle()
    yield made
    await made.close()


async def load(lifecycle: Lifecycle) -> None:
    register_kokoro()
    await lifecycle.start_loading()
    assert lifecycle.loaded


async def test_kokoro_is_offered_first_if_the_tier_has_it(tier: SpeechTier, lifecycle: Lifecycle) -> None:
    await load(lifecycle)
    assert default_voice().engine == NEURAL
    assert [card.id for card in models_offered()] == ["kokoro-82m", "espeak-ng"]
    assert why_not_neural(0.0) is None


async def test_espeak_is_offered_alone_if_the_tier_has_no_kokoro(tier: SpeechTier, lifecycle: Lifecycle) -> None:
    tier.has_kokoro = False
    await load(lifecycle)
    assert default_voice().engine == "espeak-ng"
    assert [(card.id, card.notice) for card in models_offered()] == [("espeak-ng", "")]


async def test_a_named_kokoro_that_the_tier_does_not_have_is_reported(
    tier: SpeechTier, lifecycle: Lifecycle, settings: Settings
) -> None:
    settings.VOICE_TTS_MODEL = "kokoro-82m"
    tier.has_kokoro = False
    await load(lifecycle)
    assert models_offered()[0].notice == DID_NOT_LOAD


async def test_a_kokoro_that_the_tier_starts_later_speaks(tier: SpeechTier, lifecycle: Lifecycle) -> None:
    tier.has_kokoro = False
    await load(lifecycle)
    tier.has_kokoro = True
    await neural_voice()
    assert why_not_neural(0.0) is None


async def test_a_named_kokoro_that_the_tier_starts_later_speaks(
    tier: SpeechTier, lifecycle: Lifecycle, settings: Settings
) -> None:
    settings.VOICE_TTS_MODEL = "kokoro-82m"
    tier.has_kokoro = False
    await load(lifecycle)
    tier.has_kokoro = True
    async with asyncio.timeout(10):
        while why_not_neural(0.0) is not None:
            await asyncio.sleep(0.01)
    assert models_offered()[0].notice == ""


async def test_kokoro_speaks_although_the_tier_first_failed_to_describe_it(
    tier: SpeechTier, lifecycle: Lifecycle, caplog: pytest.LogCaptureFixture
) -> None:
    await runtime.load("espeak-ng")  # so that the next request for the tier's voices is Kokoro's
    tier.failing_about = 1
    await load(lifecycle)
    failed = [getattr(record, "engine", "") for record in caplog.records if record.message == "an engine did not load"]
    assert failed == [NEURAL]
    await neural_voice()
    assert why_not_neural(0.0) is None


async def test_a_tier_without_kokoro_is_no_error(
    tier: SpeechTier, lifecycle: Lifecycle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tier.has_kokoro = False
    await load(lifecycle)
    await asyncio.sleep(0.2)  # several attempts
    told = [(one.levelname, one.message) for one in caplog.records if getattr(one, "engine", "") == NEURAL]
    assert told == [("INFO", "loading an engine"), ("INFO", "the inference tier does not offer an engine")]


async def test_the_lifecycle_stops_trying_when_it_is_closed(tier: SpeechTier, lifecycle: Lifecycle) -> None:
    tier.has_kokoro = False
    await load(lifecycle)
    await lifecycle.close()
    tier.has_kokoro = True
    await asyncio.sleep(0.2)
    assert default_voice().engine == "espeak-ng"
