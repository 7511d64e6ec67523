"""The two groups for staff who are not superusers. Permissions that an admin adds to them are kept."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

OPERATORS = "Operators"
PRODUCT = "Product"

# Operators may change rows of these apps; both groups may view all rows. Rows that only the code writes (the ledger,
# the audit trail, samples) cannot be changed whatever the permissions.
CHANGED_BY_OPERATORS = ("rollout", "capacity")
SEEN = ("rollout", "usage", "capacity", "voiceproject")
NO_RIGHTS = ("delete_flag", "add_flag")  # migrations create one flag per feature


def grant(app_config: AppConfig, **_signal: Any) -> None:
    """Create the groups, and add the permissions on this app's models that they lack.

    Called after each migration of an app, when all its permissions exist, so that a new app needs no migration for
    this.
    """
    if app_config.label not in SEEN:
        return
    rights = Permission.objects.filter(content_type__app_label=app_config.label).exclude(codename__in=NO_RIGHTS)
    seen = rights.filter(codename__startswith="view_")
    for name in (OPERATORS, PRODUCT):
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*(rights if name == OPERATORS and app_config.label in CHANGED_BY_OPERATORS else seen))
