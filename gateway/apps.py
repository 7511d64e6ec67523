"""Configuration of the ``gateway`` app: registers the error mapping, the metrics and the API schema's extension."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        from gateway import error_mapping, metrics

        error_mapping.register()
        metrics.register()
        import_module("gateway.openapi")  # the import registers the schema extension
