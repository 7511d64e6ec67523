"""Allow Django to empty the database between tests.

Without this, the ledger's triggers refuse DELETE (``usage.triggers``).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db.backends.sqlite3.base import DatabaseWrapper


def let_tests_empty_guarded_tables() -> None:
    from usage import triggers  # imports models, which are not ready when this module is imported

    operations = DatabaseWrapper.ops_class
    flush = operations.execute_sql_flush

    def execute_sql_flush(self: Any, sql_list: list[str]) -> None:
        triggers.remove(self.connection)
        try:
            flush(self, sql_list)
        finally:
            triggers.install(self.connection)

    setattr(operations, "execute_sql_flush", execute_sql_flush)  # noqa: B010 - mypy forbids an assignment


def restore_migrated_rows() -> None:
    """Restore the rows that migrations made, if an earlier test has emptied the database."""
    from django.apps import apps

    from capacity.models import Rule
    from rollout.models import Flag
    from usage.models import InfrastructureCost

    if not Flag.objects.exists():
        for name, note in {"voice": "Voice", **import_module("rollout.migrations.0002_flags").FLAGS}.items():
            Flag.objects.create(name=name, note=note, percent=0 if name == "voice" else None)
    for model, migration, function in (
        (InfrastructureCost, "usage.migrations.0004_first_rows", "make"),
        (Rule, "capacity.migrations.0002_rules_and_phases", "seed"),
    ):
        if not model._default_manager.exists():
            getattr(import_module(migration), function)(apps, None)
    import_module("capacity.migrations.0004_gpu_memory_and_phases_of_rules").set_shares(apps, None)
