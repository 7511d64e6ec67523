"""Registers the engines, their models and the endpoint with the apps below."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from inference import runtime


class TtsConfig(AppConfig):
    name = "tts"

    def ready(self) -> None:
        from gateway import catalogue as models
        from gateway import endpoints
        from tts import models_offered
        from tts.espeak_engine import EspeakEngine
        from tts.voices import catalogue
        from tts.wire import SpeechCodec
        from usage.entry import Kind

        models.register(models.Task.SPEECH, models_offered)
        endpoints.register("/v1/audio/speech", Kind.SPEECH)
        runtime.register(
            "espeak-ng", lambda: EspeakEngine(max_queue=settings.VOICE_TTS_QUEUE), SpeechCodec("espeak-ng")
        )
        if settings.VOICE_COQUI_MODELS:
            from tts import coqui
            from tts.coqui_engine import CoquiEngine

            sources = [coqui.describe(source) for source in settings.VOICE_COQUI_MODELS]
            voices = catalogue()
            if not settings.VOICE_INFERENCE_URL:  # else the tier, which has the models, tells their voices
                voices.register(source.voice() for source in sources)
            runtime.register(
                "coqui",
                lambda: CoquiEngine(
                    sources,
                    voices,
                    device=settings.VOICE_COQUI_DEVICE,
                    threads=settings.VOICE_COQUI_THREADS,
                    max_batch=settings.VOICE_COQUI_BATCH,
                    max_queue=settings.VOICE_TTS_QUEUE,
                ),
                SpeechCodec("coqui"),
            )
