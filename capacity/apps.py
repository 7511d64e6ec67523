"""Concurrent users, alerts and growth phases."""

from __future__ import annotations

from django.apps import AppConfig


class CapacityConfig(AppConfig):
    name = "capacity"

    def ready(self) -> None:
        from capacity import exporter

        exporter.register()
