"""Mail the product team what voice did in a week. For cron, on Mondays."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.date_range import BadQuery
from dashboard.weekly import Summary, asked_week


class Command(BaseCommand):
    help = "Mail the weekly summary to VOICE_SUMMARY_EMAILS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--week", default="", help="any day of it; by default the last whole week")
        parser.add_argument("--to", nargs="+", metavar="ADDRESS", help="instead of VOICE_SUMMARY_EMAILS")
        parser.add_argument("--save", type=Path, metavar="FOLDER", help="write it there instead of mailing it")

    def handle(self, **options: Any) -> None:
        now = timezone.now()
        try:
            summary = Summary(asked_week(options["week"], now), now)
        except BadQuery as error:
            raise CommandError(error.message) from error
        if options["save"] is not None:
            self._save(summary, options["save"])
            return
        receivers = options["to"] or settings.VOICE_SUMMARY_EMAILS
        if not receivers:
            self.stdout.write("Nobody is to get it: VOICE_SUMMARY_EMAILS is empty.")
            return
        try:
            summary.mail(receivers).send()
        except OSError as error:
            raise CommandError(f"The mail server did not take it: {error}") from error
        self.stdout.write(f"Mailed to {len(receivers)}: {summary.title}.")

    def _save(self, summary: Summary, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"voice_{summary.week}"
        (folder / f"{name}.html").write_text(summary.html(), encoding="utf-8")
        (folder / f"{name}.pdf").write_bytes(summary.pdf())
        self.stdout.write(f"Saved as {folder / name}.html and .pdf.")
