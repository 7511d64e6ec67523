"""The Django app that provides ``manage.py loadtest``. It has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class LoadtestsConfig(AppConfig):
    name = "tools.loadtests"
    label = "tools_loadtests"
