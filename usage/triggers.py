"""Database triggers that keep the ledger append-only, and that protect final statements and credit notes from changes.

The triggers are created after every migration, because SQLite drops a table's triggers when a migration alters the
table. They are removed before a migration of this app, because PostgreSQL cannot alter a column that a trigger names.

The triggers allow three changes, all made by ``usage.personal_data``: replacing an end user's id with a pseudonym,
emptying a request id, and shortening a counter-entry's note. They also allow PostgreSQL's TRUNCATE, because a database
user who may run it could drop the triggers as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from usage.activity import PSEUDONYM
from usage.models import CreditNote, LedgerEntry, Statement, StatementLine

PERSONAL = {"user", "request_id", "note"}  # columns with personal data, which may be replaced, emptied or shortened


@dataclass(frozen=True)
class _Guard:
    """A trigger that refuses some changes of a table's rows.

    ``event``: change to refuse, as in CREATE TRIGGER: INSERT, UPDATE, UPDATE OF some columns, or DELETE.
    ``when``: SQL condition for the rows to protect. It can refer to the row as ``OLD`` and ``NEW``.
    ``message``: text of the error.
    """

    model: type[models.Model]
    name: str
    event: str
    when: str
    message: str

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def trigger(self) -> str:
        return f"{self.table}_{self.name}"


def _guards() -> list[_Guard]:
    ledger = "the ledger is append-only"
    final = "the statement is final"
    credit = "a credit note never changes"
    is_final = "OLD.state = 'final'"
    of_final = "EXISTS (SELECT 1 FROM usage_statement s WHERE s.id = {}.statement_id AND s.state = 'final')"
    return [
        _Guard(LedgerEntry, "fixed", f"UPDATE OF {_columns(LedgerEntry)}", "TRUE", ledger),
        _Guard(LedgerEntry, "whose", 'UPDATE OF "user"', _names_somebody(), ledger),
        _Guard(LedgerEntry, "which", "UPDATE OF request_id", "NEW.request_id <> ''", ledger),
        _Guard(LedgerEntry, "noted", "UPDATE OF note", "NEW.note <> substr(OLD.note, 1, length(NEW.note))", ledger),
        _Guard(LedgerEntry, "kept", "DELETE", "TRUE", ledger),
        _Guard(Statement, "fixed", f"UPDATE OF {_columns(Statement)}", is_final, final),
        _Guard(Statement, "whose", 'UPDATE OF "user"', f"{is_final} AND {_names_somebody()}", final),
        _Guard(Statement, "kept", "DELETE", is_final, final),
        _Guard(StatementLine, "added", "INSERT", of_final.format("NEW"), final),
        _Guard(StatementLine, "fixed", "UPDATE", f"{of_final.format('OLD')} OR {of_final.format('NEW')}", final),
        _Guard(StatementLine, "kept", "DELETE", of_final.format("OLD"), final),
        _Guard(CreditNote, "fixed", "UPDATE", "TRUE", credit),
        _Guard(CreditNote, "kept", "DELETE", "TRUE", credit),
    ]


def _columns(model: type[models.Model]) -> str:
    """Return the quoted names of the model's columns, without the columns that hold personal data."""
    return ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields if field.column not in PERSONAL)


def _names_somebody() -> str:
    return f"""NEW."user" <> OLD."user" AND NEW."user" NOT LIKE '{PSEUDONYM}%'"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers, and replace existing ones."""
    make = {"sqlite": _on_sqlite, "postgresql": _on_postgresql}.get(connection.vendor)
    if make is not None:
        with connection.cursor() as cursor:
            for guard in _guards():
                for statement in make(guard):
                    cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        for guard in _guards():
            on_table = f" ON {guard.table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {guard.trigger}{on_table}")


def remove_before_migrate(app_config: AppConfig, using: str, plan: Any, **_signal: Any) -> None:
    is_ours = any(migration.app_label == app_config.label for migration, _backwards in plan or ())
    if is_ours and _has_tables(connections[using]):
        remove(connections[using])


def install_after_migrate(app_config: AppConfig, using: str, **_signal: Any) -> None:
    if _is_complete(connections[using]):
        install(connections[using])


def _has_tables(connection: BaseDatabaseWrapper) -> bool:
    return {guard.table for guard in _guards()} <= set(connection.introspection.table_names())


def _is_complete(connection: BaseDatabaseWrapper) -> bool:
    """Return True if all guarded tables exist and have all their columns.

    Tables or columns are missing before the first migration, and after a migration back to an earlier state.
    """
    if not _has_tables(connection):
        return False
    introspection = connection.introspection
    guarded = {guard.model for guard in _guards()}
    with connection.cursor() as cursor:
        return all(
            {field.column for field in model._meta.concrete_fields}
            <= {column.name for column in introspection.get_table_description(cursor, model._meta.db_table)}
            for model in guarded
        )


def _on_sqlite(guard: _Guard) -> list[str]:
    return [
        f"DROP TRIGGER IF EXISTS {guard.trigger}",
        f"CREATE TRIGGER {guard.trigger} BEFORE {guard.event} ON {guard.table} FOR EACH ROW WHEN {guard.when}"
        f" BEGIN SELECT RAISE(ABORT, '{guard.message}'); END",
    ]


def _on_postgresql(guard: _Guard) -> list[str]:
    # The function checks the condition, because a trigger's WHEN clause cannot query other tables.
    gives = "OLD" if guard.event == "DELETE" else "NEW"
    return [
        f"CREATE OR REPLACE FUNCTION {guard.trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {guard.when} THEN RAISE EXCEPTION '{guard.message}' USING ERRCODE = 'integrity_constraint_violation';"
        f" END IF; RETURN {gives}; END $$",
        f"CREATE OR REPLACE TRIGGER {guard.trigger} BEFORE {guard.event} ON {guard.table}"
        f" FOR EACH ROW EXECUTE FUNCTION {guard.trigger}()",
    ]
