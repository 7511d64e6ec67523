"""The app that every layer uses: the callers' tables, errors, handling of outages."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.models.signals import pre_delete


class CoreConfig(AppConfig):
    name = "core"
    label = "voiceproject"  # the app that first held the tables; their names and migrations keep its label
    verbose_name = "Callers"

    def ready(self) -> None:
        from core import audit

        for model in apps.get_models():
            if issubclass(model, audit.Audited):
                pre_delete.connect(audit.is_deleted, sender=model)
