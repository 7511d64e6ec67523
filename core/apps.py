"""Configuration of the ``core`` app, which contains code that other apps share, such as errors and the audit trail."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.models.signals import pre_delete


class CoreConfig(AppConfig):
    name = "core"
    label = "voiceproject"  # the app's former name, which existing tables and migrations contain
    verbose_name = "Callers"

    def ready(self) -> None:
        from core import audit

        for model in apps.get_models():
            if issubclass(model, audit.Audited):
                pre_delete.connect(audit.is_deleted, sender=model)
