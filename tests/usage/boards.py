"""Read the numbers of the dashboard from its CSV files."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

from django.utils import timezone

from dashboard.board import Board, csv_of
from dashboard.date_range import asked

DAYS = 45  # length of the history that the fixture ``used`` makes


def board(first: date, last: date) -> Board:
    return Board(asked({"from": first.isoformat(), "to": last.isoformat()}, timezone.now()))


def read(pieces: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode())))


def table(name: str, first: date, last: date) -> list[dict[str, str]]:
    return read(csv_of(name, board(first, last)))
