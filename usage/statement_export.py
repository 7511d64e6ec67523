"""Export statements as a printable page or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from usage.money import decimal, exact
from usage.statements import CURRENCY, Statement

COLUMNS = [
    "number",
    "client",
    "user",
    "month",
    "state",
    "currency",
    "item",
    "plan",
    "unit",
    "quantity",
    "included",
    "charged",
    "price",
    "price_per",
    "amount",
    "note",
]


def page(statement: Statement) -> dict[str, Any]:
    """Return the context for the printable page, the template ``admin/usage/statement.html``."""
    return {
        "statement": statement,
        "lines": [
            {**line.in_words(), "price": exact(line.price_micros), "amount": exact(line.amount_micros)}
            for line in statement.lines.all()
        ],
        "credit_notes": list(statement.credit_notes.all()),
        "currency": CURRENCY,
    }


def as_csv(statements: Iterable[Statement]) -> str:
    """Return the statements as CSV.

    Each statement has one row per statement line, one row for the total in ringgit rounded to sen, and one row per
    credit note.
    """
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    table.writeheader()
    for statement in statements:
        for row in _rows(statement):
            table.writerow({name: escape_formula(value) for name, value in row.items()})
    return out.getvalue()


def _rows(statement: Statement) -> Iterable[dict[str, str]]:
    head = {
        "number": statement.number,
        "client": statement.client.name,
        "user": statement.user,
        "month": f"{statement.month:%Y-%m}",
        "state": statement.state,
        "currency": CURRENCY,
    }
    for line in statement.lines.all():
        words = line.in_words()
        yield {**head, "item": words.pop("kind"), **words}
    yield {**head, "item": "Total", "amount": decimal(statement.total_sen, 2)}
    for note in statement.credit_notes.all():
        yield {**head, "item": f"Credit note {note.number}", "amount": decimal(-note.amount_sen, 2), "note": note.why}


def escape_formula(value: str) -> str:
    """Return ``value``, with an apostrophe in front if a spreadsheet would otherwise run the text as a formula.

    End users' ids may contain a formula, because client applications choose the ids freely.
    """
    is_number = value[1:].replace(".", "", 1).isdecimal()
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number else value
