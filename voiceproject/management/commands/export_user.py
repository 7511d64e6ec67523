"""``manage.py export_user``: write all data about an end user.

Use this if the user asks for it under the PDPA, Malaysia's Personal Data Protection Act.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

import rollout.personal_data
import usage.personal_data
from core.models import ClientApplication


class Command(BaseCommand):
    help = "Write all data about one end user (usage, plans, statements, lists) to standard output, as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client", help="name of the client application")
        parser.add_argument("user", help="the end user's id at the client application")

    def handle(self, *args: Any, client: str, user: str, **options: Any) -> None:
        try:
            application = ClientApplication.objects.get(name=client)
        except ClientApplication.DoesNotExist as error:
            raise CommandError(f"There is no client application {client!r}.") from error
        held = {
            **usage.personal_data.export(application, user),
            "rollout": rollout.personal_data.export(application, user),
        }
        self.stdout.write(json.dumps(held, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))
