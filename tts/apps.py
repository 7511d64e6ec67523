"""Register this app's engines, models and endpoint when Django starts."""

from __future__ import annotations

from pathlib import Path

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
        register_kokoro()
        if settings.VOICE_COQUI_MODELS:
            from tts import coqui
            from tts.coqui_engine import CoquiEngine

            sources = [coqui.describe(source) for source in settings.VOICE_COQUI_MODELS]
            voices = catalogue()
            if not settings.VOICE_INFERENCE_URL:  # if there is an inference tier, it reports the voices of its models
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


def register_kokoro() -> None:
    """Register Kokoro before all other speech models, if the settings choose Kokoro.

    If the models run in other processes (the inference tier, ``VOICE_INFERENCE_URL``), this process cannot check
    whether Kokoro's files are installed there. If ``VOICE_TTS_MODEL`` names Kokoro, its voices are registered at once.
    If it is ``auto``, they are registered when the tier reports them.
    """
    from model_store.catalogue import Task
    from model_store.catalogue import catalogue as models
    from model_store.choice import AUTO, chosen
    from model_store.errors import ModelNotInstalled

    if settings.VOICE_INFERENCE_URL:
        named = models().find(settings.VOICE_TTS_MODEL)
        if named is not None and named.engine == "kokoro":
            offer_kokoro(None)
        elif settings.VOICE_TTS_MODEL in AUTO:
            register_kokoro_engine(None)
        return
    try:
        choice = chosen(Task.SPEECH)
    except ModelNotInstalled:
        return  # ``serve`` reports the missing model and does not start
    if choice.engine == "kokoro":
        offer_kokoro(choice.directory)


def offer_kokoro(directory: Path | None) -> None:
    """Register Kokoro's engine and voices.

    ``directory``: folder of the model's files; None if the model runs in the inference tier.
    """
    from tts.kokoro_voices import kokoro_voices
    from tts.voices import catalogue

    catalogue().register(kokoro_voices(directory), first=True)
    register_kokoro_engine(directory)


def register_kokoro_engine(directory: Path | None) -> None:
    """Register Kokoro's engine. ``directory``: see ``offer_kokoro``."""
    from tts.kokoro_engine import NAME, KokoroEngine
    from tts.wire import SpeechCodec

    def create() -> KokoroEngine:
        return KokoroEngine(
            directory or settings.VOICE_MODELS_DIR / "kokoro-82m",
            device=settings.VOICE_TTS_DEVICE,
            threads=settings.VOICE_TTS_THREADS,
            workers=settings.VOICE_TTS_WORKERS,
            max_queue=settings.VOICE_TTS_QUEUE,
        )

    runtime.register(NAME, create, SpeechCodec(NAME, is_first=True), has_fallback=True)
