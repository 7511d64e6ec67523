"""The Django app for the dashboard and the admin's first page, which combine data of several other apps."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        from dashboard import forecast
        from rollout import preview

        preview.register(forecast.effects)
