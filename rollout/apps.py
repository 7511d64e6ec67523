"""The Django app of the roll-out. It connects the signals that record changes, renew cached rules and grant roles."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_migrate


class RolloutConfig(AppConfig):
    name = "rollout"
    verbose_name = "Roll-out"

    def ready(self) -> None:
        from core import audit
        from rollout import roles
        from rollout.models import Flag, relation_changed

        for relation in (Flag.cohorts, Flag.users, Flag.groups):
            m2m_changed.connect(relation_changed, sender=relation.through)
        audit.committed.connect(_forget_rules, dispatch_uid="rollout.policy")
        post_migrate.connect(roles.grant, dispatch_uid="rollout.roles")


def _forget_rules(**_signal: Any) -> None:
    from rollout import policy

    policy.forget()
