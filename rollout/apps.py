from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_migrate, pre_delete


class RolloutConfig(AppConfig):
    name = "rollout"
    verbose_name = "Roll-out"

    def ready(self) -> None:
        from rollout import audit, roles
        from rollout.models import Flag

        for relation in (Flag.cohorts, Flag.users, Flag.groups):
            m2m_changed.connect(audit.relation_changed, sender=relation.through)
        for model in self.get_models():
            if issubclass(model, audit.Audited):
                pre_delete.connect(audit.is_deleted, sender=model)
        post_migrate.connect(roles.grant, dispatch_uid="rollout.roles")
