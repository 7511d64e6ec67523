"""The project as a Django app, for its commands and the checks of its settings."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "voiceproject"
    label = "project"  # ``voiceproject`` is the label of core's tables

    def ready(self) -> None:
        import_module("voiceproject.checks")  # importing it registers them
