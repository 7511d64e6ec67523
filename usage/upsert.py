"""Add amounts to rows that may not exist yet, with an SQL statement that works on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connection, models

MAX_ROWS = 500  # maximum number of rows in one statement

Amounts = Mapping[tuple[Any, ...], Sequence[int]]


def key_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """Return the fields of the model's unique constraint. The model must have exactly one such constraint."""
    (constraint,) = (one for one in model._meta.constraints if isinstance(one, models.UniqueConstraint))
    return [_field(model, name) for name in constraint.fields]


def add(model: type[models.Model], rows: Amounts) -> None:
    """Add amounts to the rows with the given keys, and insert the rows that do not exist.

    Rows are locked in the order of their keys, so two calls cannot deadlock.

    ``rows``: amounts by key. A key holds the values of the unique constraint's fields, in the constraint's order. The
    amounts are the values of the model's other fields, in the model's order, without the primary key.
    """
    table = quoted(model._meta.db_table)
    sums = ", ".join(f"{c} = {table}.{c} + EXCLUDED.{c}" for c in map(_column, amount_fields(model)))
    for statement, params in _inserts(model, rows):
        with connection.cursor() as cursor:
            cursor.execute(f"{statement} {sums}", params)


def merge_bits(model: type[models.Model], rows: Amounts) -> None:
    """Insert the rows. If a row exists, combine old and new amounts by bitwise OR. ``rows`` is as in ``add``."""
    table = quoted(model._meta.db_table)
    both = ", ".join(f"{c} = {table}.{c} | EXCLUDED.{c}" for c in map(_column, amount_fields(model)))
    for statement, params in _inserts(model, rows):
        with connection.cursor() as cursor:
            cursor.execute(f"{statement} {both}", params)


def _inserts(model: type[models.Model], rows: Amounts) -> Iterator[tuple[str, list[Any]]]:
    """Yield INSERT statements that end with "DO UPDATE SET", each with its parameters. The caller completes them.

    Each statement inserts at most ``MAX_ROWS`` rows.
    """
    keys = key_fields(model)
    amounts = amount_fields(model)
    ordered = sorted(rows.items())
    for start in range(0, len(ordered), MAX_ROWS):
        batch = [(*key, *values) for key, values in ordered[start : start + MAX_ROWS]]
        sql, params = insert(model, [*keys, *amounts], batch)
        yield f"{sql} {on_conflict(keys)}", params


def amount_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """Return the model's fields, without the primary key and the fields of the unique constraint."""
    keys = key_fields(model)
    return [field for field in model._meta.concrete_fields if not field.primary_key and field not in keys]


def insert(
    model: type[models.Model], fields: Sequence[models.Field[Any, Any]], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    """Return an INSERT statement for the rows, and its parameters. Each row has one value per field."""
    columns = ", ".join(map(_column, fields))
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    params = [
        field.get_db_prep_save(value, connection) for row in rows for field, value in zip(fields, row, strict=True)
    ]
    # This is safe: names are quoted, and values are parameters.
    return f"INSERT INTO {quoted(model._meta.db_table)} ({columns}) VALUES {places}", params  # nosec B608 # noqa: S608


def on_conflict(keys: Sequence[models.Field[Any, Any]]) -> str:
    return f"ON CONFLICT ({', '.join(map(_column, keys))}) DO UPDATE SET"


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _column(field: models.Field[Any, Any]) -> str:
    return quoted(str(field.column))


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field
