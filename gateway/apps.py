"""Django app of the gateway: registers its error mapping, its metrics and its part of the API's schema."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        from gateway import error_mapping, metrics

        error_mapping.register()
        metrics.register()
        import_module("gateway.openapi")  # importing it registers its extension
