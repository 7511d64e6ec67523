"""``manage.py erase_user``: remove an end user's id from all tables except the audit trail.

Use this if the user asks for it under the PDPA, Malaysia's Personal Data Protection Act.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

import rollout.personal_data
import usage.personal_data
from core.models import ClientApplication


class Command(BaseCommand):
    help = (
        "Replace one end user's id by a random pseudonym, and remove it from the roll-out's lists. Totals do not "
        "change. This cannot be undone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client", help="name of the client application")
        parser.add_argument("user", help="the end user's id at the client application")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, client: str, user: str, yes: bool, **options: Any) -> None:
        try:
            application = ClientApplication.objects.get(name=client)
        except ClientApplication.DoesNotExist as error:
            raise CommandError(f"There is no client application {client!r}.") from error
        if not yes and input(f"Erase {user!r} of {client}? It cannot be undone. Type the id again: ") != user:
            raise CommandError("Nothing was erased.")
        with transaction.atomic():
            erased = usage.personal_data.erase(application, user) | rollout.personal_data.erase(application, user)
        for table, rows in erased.items():
            self.stdout.write(f"{table}: {rows}")
