from __future__ import annotations

from django.apps import AppConfig


class AsrConfig(AppConfig):
    name = "asr"

    def ready(self) -> None:
        from asr.engine import NAME, create
        from asr.wire import SpeechCodec
        from inference import runtime

        runtime.register(NAME, create, SpeechCodec())
