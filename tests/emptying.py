"""Between tests Django empties SQLite with DELETE, which the triggers that keep the books refuse (usage.guards)."""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3.base import DatabaseWrapper


def let_tests_empty_the_books() -> None:
    from usage import guards  # models, which are not ready when this module is imported

    operations = DatabaseWrapper.ops_class
    flush = operations.execute_sql_flush

    def execute_sql_flush(self: Any, sql_list: list[str]) -> None:
        guards.remove(self.connection)
        try:
            flush(self, sql_list)
        finally:
            guards.install(self.connection)

    setattr(operations, "execute_sql_flush", execute_sql_flush)  # noqa: B010 - mypy forbids an assignment
