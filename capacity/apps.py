"""The Django app for concurrent users, alerts, growth phases, uptime and load-test reports."""

from __future__ import annotations

from django.apps import AppConfig


class CapacityConfig(AppConfig):
    name = "capacity"

    def ready(self) -> None:
        from capacity import exporter

        exporter.register()
