"""The app config that lets Django find the project's commands and its checks of the settings."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "voiceproject"
    label = "project"  # ``voiceproject`` is the label of core's tables

    def ready(self) -> None:
        import_module("voiceproject.checks")  # the import registers the checks
