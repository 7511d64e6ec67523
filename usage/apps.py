"""Configuration of the ``usage`` app: end users' usage, plans, quotas and statements, and the service's costs."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class UsageConfig(AppConfig):
    name = "usage"
    verbose_name = "Usage and billing"

    def ready(self) -> None:
        from usage import triggers

        pre_migrate.connect(triggers.remove_before_migrate, sender=self, dispatch_uid="usage.triggers")
        post_migrate.connect(triggers.install_after_migrate, sender=self, dispatch_uid="usage.triggers")
