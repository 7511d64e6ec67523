"""``manage.py prune_usage``, for a daily job: pseudonymise end users in old usage, and free expired reservations."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from usage.personal_data import prune
from usage.reservations import free_all_stale


class Command(BaseCommand):
    help = "Replace the ids of end users by pseudonyms in usage older than VOICE_USAGE_RETENTION_DAYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=settings.VOICE_USAGE_RETENTION_DAYS, help="0 keeps all ids")

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        free_all_stale()
        if days <= 0:
            self.stdout.write("Nothing was pruned, because the retention is not limited.")
            return
        users = prune(timezone.now() - timedelta(days=days))
        self.stdout.write(f"Pseudonymised the usage of {users} end users older than {days} days.")
