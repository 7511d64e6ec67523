"""``manage.py voice``: set (``off``) or release (``on``) the kill switch, or show the roll-out (``status``).

Operators use it when the admin cannot be reached.
"""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from core.audit import acting
from rollout.feature import VOICE, Feature
from rollout.models import Flag
from rollout.policy import ACTS_WITHIN_S


class Command(BaseCommand):
    help = "Switch voice off for everyone (kill switch), switch it on again, or show its roll-out."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action",
            choices=["off", "on", "status"],
            help="off: set the kill switch; on: release it; status: show who has voice",
        )
        known = f"limit the action to these features: {', '.join(Feature)} (default: all of voice)"
        parser.add_argument("features", nargs="*", type=Feature, metavar="feature", help=known)
        parser.add_argument("--why", default="", help="reason, recorded in the audit trail")

    def handle(self, *args: Any, action: str, features: list[Feature], why: str, **options: Any) -> None:
        wanted: list[str] = [*features] or [VOICE]
        if action != "status":
            with transaction.atomic(), acting(f"manage.py voice ({getpass.getuser()})", why):
                for flag in Flag.objects.select_for_update().filter(name__in=wanted):
                    flag.killed = action == "off"
                    flag.save()
            self.stdout.write(f"This takes effect everywhere within {ACTS_WITHIN_S:g} s.")
        for flag in Flag.objects.filter(name__in=wanted if features else [VOICE, *Feature]):
            self.stdout.write(f"{flag.name}: {flag.in_words()}")
