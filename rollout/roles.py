"""The two groups of people who run the service and are not superusers. Rights that an admin adds to them stay."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

OPERATORS = "Operators"
PRODUCT = "Product"

# Who operates changes these; everybody of both groups sees all models. Rows that only the apps write
# (the ledger, the audit trail, samples) refuse changes whatever the rights.
CHANGED_BY_OPERATORS = ("rollout", "capacity")
SEEN = ("rollout", "usage", "capacity", "voiceproject")
NO_RIGHTS = ("delete_flag", "add_flag")  # there is one per feature


def grant(app_config: AppConfig, **_signal: Any) -> None:
    """Make the groups and give them what they lack of this application's rights. Called after each migration, when all
    its permissions exist; so an app that comes later needs no migration here."""
    if app_config.label not in SEEN:
        return
    rights = Permission.objects.filter(content_type__app_label=app_config.label).exclude(codename__in=NO_RIGHTS)
    seen = rights.filter(codename__startswith="view_")
    for name in (OPERATORS, PRODUCT):
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*(rights if name == OPERATORS and app_config.label in CHANGED_BY_OPERATORS else seen))
