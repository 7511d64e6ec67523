"""What belongs to every layer: the callers' tables, errors, outages."""

from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    label = "voiceproject"  # the tables' first home; their names and migrations keep it
    verbose_name = "Callers"
