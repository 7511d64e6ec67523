"""`manage.py speakable`: what would be said for a text, to check it by eye."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from spoken_text.speakable import LANGUAGES, speakable


class Command(BaseCommand):
    help = "Print what would be said for each line of the text on standard input (or for the text given)."
    requires_system_checks = ()  # it needs neither database nor urls

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text", nargs="*", help="read instead of standard input")
        parser.add_argument("--language", choices=LANGUAGES, default="ms", help="where a sentence does not tell")
        parser.add_argument("--document", action="store_true", help="take the whole text as one Markdown document")

    def handle(self, *, text: list[str], language: str, document: bool, **options: object) -> None:
        if document:
            self.stdout.write(speakable(" ".join(text) or sys.stdin.read(), language))
            return
        for line in [" ".join(text)] if text else sys.stdin:
            self.stdout.write(speakable(line.rstrip("\n"), language))
            self.stdout.flush()
