"""Empty the database between tests quickly, and despite the triggers that protect the ledger (``usage.triggers``).

This module also lets several tests share the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
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


def copy_rights_after_emptying() -> None:
    """Make Django's ``flush`` restore permissions and groups from a copy.

    Otherwise Django makes them again, model by model, which takes ten times as long as emptying the tables.
    """
    from django.core.management.commands import flush
    from django.core.management.sql import emit_post_migrate_signal as make_rights

    copies: dict[str, dict[str, list[tuple[Any, ...]]]] = {}

    def restore(verbosity: int, interactive: bool, db: str, **options: Any) -> None:
        if db not in copies:
            make_rights(verbosity, interactive, db, **options)
            copies[db] = _rights(connections[db])
            return
        with transaction.atomic(using=db), connections[db].cursor() as cursor:
            for table, rows in copies[db].items():
                cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)

    setattr(flush, "emit_post_migrate_signal", restore)  # noqa: B010 - mypy forbids an assignment


def _rights(connection: BaseDatabaseWrapper) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that Django and this project make after migrations, by table."""
    rows = {}
    with connection.cursor() as cursor:
        for table in ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions"):
            cursor.execute(f"SELECT * FROM {table}")
            rows[table] = cursor.fetchall()
    return rows


def restore_migrated_rows() -> None:
    """Restore the flags, costs, alert rules and phases of the migrations, if a test has emptied the database."""
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


@contextmanager
def rows_of_several_tests(blocker: Any) -> Iterator[None]:
    """Keep the rows that are made in this context for all tests that run in it, and remove them at its end.

    Fixtures of a class or a module use this. Each test runs in a savepoint, so the next test does not see its changes.

    ``blocker``: pytest-django's ``django_db_blocker``.
    """
    with blocker.unblock(), transaction.atomic():
        restore_migrated_rows()
        yield
        transaction.set_rollback(True)
