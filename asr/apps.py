"""Configuration of the ``asr`` app. At start-up, it registers the recognition engine, its models and its endpoints."""

from __future__ import annotations

from django.apps import AppConfig


class AsrConfig(AppConfig):
    name = "asr"

    def ready(self) -> None:
        from asr import models_offered
        from asr.segmenting import warm_up
        from asr.whisper_engine import NAME, create
        from asr.wire import SpeechCodec
        from gateway import catalogue, endpoints
        from inference import runtime
        from usage.entry import Kind

        runtime.register(NAME, create, SpeechCodec(), warm_up=warm_up)
        catalogue.register(catalogue.Task.TRANSCRIPTION, models_offered)
        endpoints.register("/v1/audio/transcriptions", Kind.TRANSCRIPTION)
        endpoints.register("/v1/audio/translations", Kind.TRANSLATION)
