"""``manage.py send_weekly_summary``: mail the summary of a week. Run it from cron on Mondays.

Recipients who already have the summary get it again only with ``--again``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation

from core.mail_recipients import Recipient
from dashboard.date_range import BadQuery
from dashboard.weekly_mail import NotMailed, NotOver, recipients, send
from dashboard.weekly_summary import Summary, week_from_text


class Command(BaseCommand):
    help = "Mail the weekly summary to each address in VOICE_SUMMARY_EMAILS that does not have it yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--week", default="", help="any day of the week, YYYY-MM-DD (default: the last whole week)")
        parser.add_argument("--to", nargs="+", metavar="ADDRESS", help="mail to these addresses instead")
        parser.add_argument(
            "--again", action="store_true", help="mail the summary also to addresses that already have it"
        )
        parser.add_argument("--language", choices=dict(settings.LANGUAGES), help="language for --save and --to")
        parser.add_argument(
            "--save", type=Path, metavar="FOLDER", help="save the summary in this folder instead of mailing it"
        )

    def handle(self, **options: Any) -> None:
        now = timezone.now()
        language = options["language"] or settings.LANGUAGE_CODE
        try:
            week = week_from_text(options["week"], now)
            to = [Recipient.of(text, language) for text in options["to"]] if options["to"] else recipients()
        except BadQuery as error:
            raise CommandError(error.message) from error
        except ValueError as error:
            raise CommandError(f"{error} is no address; write puteri@example.com or ms:puteri@example.com") from error
        if options["save"] is not None:
            with translation.override(language):
                self._save(Summary(week, now), options["save"])
            return
        if not to:
            self.stdout.write("There are no recipients: VOICE_SUMMARY_EMAILS is empty.")
            return
        try:
            got = send(week, now, to, again=options["again"])
        except NotOver as error:
            raise CommandError(f"The week of {week} is not over. --save writes its summary up to now.") from error
        except NotMailed as error:
            self._tell(Summary(week, now), len(error.got), len(to) - len(error.got) - len(error.reasons))
            raise CommandError(f"Some mails failed; run the command again: {error}") from error
        self._tell(Summary(week, now), len(got), len(to) - len(got))

    def _tell(self, summary: Summary, got: int, had: int) -> None:
        self.stdout.write(f"Mailed to {got}: {summary.title}.")
        if had:
            self.stdout.write(f"{had} had it already (--again mails it to them too).")

    def _save(self, summary: Summary, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"voice_{summary.week}"
        (folder / f"{name}.html").write_text(summary.html(), encoding="utf-8")
        (folder / f"{name}.pdf").write_bytes(summary.pdf())
        self.stdout.write(f"Saved as {folder / name}.html and .pdf.")
