"""Django app of the gateway. It registers the error mapping, the metrics and the bearer scheme of the API's schema."""

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
