"""The two groups for staff who are not superusers: ``OPERATORS`` and ``PRODUCT``.

Permissions that a superuser adds to these groups are kept.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

OPERATORS = "Operators"
PRODUCT = "Product"

# Operators may change rows of these apps. Both groups may view all rows of the apps in ``SEEN``. Whatever the
# permissions, nobody may change rows that only the service itself writes (the ledger, the audit trail, samples).
CHANGED_BY_OPERATORS = ("rollout", "capacity")
SEEN = ("rollout", "usage", "capacity", "voiceproject")
NO_RIGHTS = ("delete_flag", "add_flag")  # migrations create one flag per feature


def grant(app_config: AppConfig, **_signal: Any) -> None:
    """Create the groups, and give them their permissions on the app's models.

    Django's signal ``post_migrate`` calls this function for each app, when the app's permissions exist. So a new app
    needs no migration for the permissions of the groups.
    """
    if app_config.label not in SEEN:
        return
    rights = Permission.objects.filter(content_type__app_label=app_config.label).exclude(codename__in=NO_RIGHTS)
    seen = rights.filter(codename__startswith="view_")
    for name in (OPERATORS, PRODUCT):
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*(rights if name == OPERATORS and app_config.label in CHANGED_BY_OPERATORS else seen))
