"""``manage.py rebuild_usage``: rebuild roll-ups and quota counters from the ledger, and free expired reservations.

The service may run at the same time.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand

from usage.rebuild import rebuild
from usage.reservations import free_all_stale


class Command(BaseCommand):
    help = "Delete the daily roll-ups and monthly counters of the given days, and rebuild them from the ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--first", type=date.fromisoformat, help="first day, YYYY-MM-DD (default: the oldest)")
        parser.add_argument("--last", type=date.fromisoformat, help="last day, YYYY-MM-DD (default: today)")

    def handle(self, *args: Any, first: date | None, last: date | None, **options: Any) -> None:
        days = rebuild(first, last)
        freed = free_all_stale()
        self.stdout.write(f"Rebuilt {days} days, and freed expired reservations in {freed} quotas.")
