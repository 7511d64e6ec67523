"""Starts what belongs to the whole process."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class VoiceProjectConfig(AppConfig):
    name = "voiceproject"
    verbose_name = "Callers"

    def ready(self) -> None:
        from voiceproject import metrics

        metrics.register()
        import_module("voiceproject.checks")
        import_module("voiceproject.openapi")  # importing them registers what they hold
