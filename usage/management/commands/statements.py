"""``manage.py statements``, for a monthly job: draft a month's statements, or make them final."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.quantities import counted
from usage.period import month_before, month_of
from usage.statement_generation import draft_month, finalise_month
from usage.statements import StatementError, check_month


def _month(text: str) -> date:
    month = datetime.strptime(text, "%Y-%m").date()
    try:
        check_month(month)
    except StatementError as error:
        raise ArgumentTypeError(str(error)) from error
    return month


class Command(BaseCommand):
    help = "Write the draft statements of a month, or make them final."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["draft", "finalise"])
        parser.add_argument("--month", type=_month, help="the month, YYYY-MM (default: the previous month)")

    def handle(self, *args: Any, action: str, month: date | None, **options: Any) -> None:
        month = month or month_before(month_of(timezone.now()))
        if action == "draft":
            self.stdout.write(f"Wrote {counted(draft_month(month), 'draft')} of {month:%Y-%m}.")
            return
        try:
            count = finalise_month(month, by=f"manage.py statements ({getpass.getuser()})")
        except StatementError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Made {counted(count, 'statement')} of {month:%Y-%m} final.")
