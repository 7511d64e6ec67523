"""Which engines and voices an API process offers if its models run in the inference tier."""

from __future__ import annotations

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
    """The unit handler of a tier with eSpeak NG and, if ``has_kokoro`` is set, Kokoro."""

    def __init__(self) -> None:
        super().__init__(self._refuse)
        self.has_kokoro = True

    @staticmethod
    async def _refuse(_frame: bytes) -> Reply:
        raise NotImplementedError

    @property
    def engines(self) -> list[str]:
        return ["espeak-ng", NEURAL] if self.has_kokoro else ["espeak-ng"]

    async def status(self) -> TierStatus:
        return TierStatus({name: [{"process": "test", **asdict(IDLE)}] for name in self.engines}, [], {})

    async def about(self) -> dict[str, dict[str, Any]]:
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


async def loaded() -> Lifecycle:
    lifecycle = Lifecycle()
    register_kokoro()
    await lifecycle.start_loading()
    assert lifecycle.loaded
    return lifecycle


async def test_kokoro_is_offered_first_if_the_tier_has_it(tier: SpeechTier) -> None:
    await loaded()
    assert default_voice().engine == NEURAL
    assert [card.id for card in models_offered()] == ["kokoro-82m", "espeak-ng"]
    assert why_not_neural(0.0) is None


async def test_espeak_is_offered_alone_if_the_tier_has_no_kokoro(tier: SpeechTier) -> None:
    tier.has_kokoro = False
    await loaded()
    assert default_voice().engine == "espeak-ng"
    assert [(card.id, card.notice) for card in models_offered()] == [("espeak-ng", "")]


async def test_a_named_kokoro_that_the_tier_does_not_have_is_reported(tier: SpeechTier, settings: Settings) -> None:
    settings.VOICE_TTS_MODEL = "kokoro-82m"
    tier.has_kokoro = False
    await loaded()
    assert models_offered()[0].notice == DID_NOT_LOAD


async def test_a_kokoro_that_loads_at_the_second_attempt_speaks(tier: SpeechTier) -> None:
    tier.has_kokoro = False
    await loaded()
    tier.has_kokoro = True
    tier_client = remote.shared_tier()
    await tier_client._probe(tier_client._endpoints[0])
    await runtime.load(NEURAL)
    assert default_voice().engine == NEURAL
    assert why_not_neural(0.0) is None
