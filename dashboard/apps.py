"""Django app of the dashboard and the admin's first page, which join data of the apps below."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        from dashboard import forecast
        from rollout import preview

        preview.register(forecast.effects)
