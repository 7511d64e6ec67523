"""``manage.py seed_demo``: fill an empty database with three months of plausible use, for trying out the pages."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import Resolver404, resolve

from tools.demo.filling import Filled, NotEmpty, fill

MIN_DAYS = 14
MAX_DAYS = 366
PAGES = (
    "/admin/",
    "/dashboard/",
    "/admin/usage/statement/",
    "/admin/usage/infrastructurecost/",
    "/admin/rollout/change/",
    "/admin/capacity/alert/",
)


def _days(text: str) -> int:
    days = _positive(text)
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise ArgumentTypeError(f"{MIN_DAYS} to {MAX_DAYS}")
    return days


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError("must be a whole number of at least 1")
    return int(text)


class Command(BaseCommand):
    help = "Fill an empty database with three months of realistic demo data, to try out the admin and the dashboard."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=_days, default=90, help=f"days up to today, {MIN_DAYS} to {MAX_DAYS} (default: 90)"
        )
        parser.add_argument(
            "--users", type=_positive, default=900, help="end users with voice on the last day (default: 900)"
        )
        parser.add_argument(
            "--rows", type=_positive, help="requests in the ledger (default: about one per user and day)"
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="random seed; the same seed gives the same data on a day"
        )
        parser.add_argument("--yes", action="store_true", help="fill the database even if the ledger has real requests")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            filled = fill(
                days=options["days"],
                users=options["users"],
                rows=options["rows"],
                seed=options["seed"],
                sure=options["yes"],
            )
        except NotEmpty as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_in_words(filled))


def _in_words(filled: Filled) -> str:
    quarter = filled.quarter
    statements = filled.statements
    lines = [
        f"{quarter.first:%d %B %Y} to {quarter.now:%d %B %Y %H:%M}:",
        f"  {filled.ledger.rows:,} requests of {filled.people:,} end users, with roll-ups and quotas",
        f"  {filled.ledger.corrections:,} corrections, {filled.ledger.ratings:,} ratings",
        f"  {filled.assignments:,} plan assignments, {statements.final:,} final statements,"
        f" {statements.drafts:,} drafts, {1 if statements.credit_note else 0} credit note",
        f"  {filled.samples:,} samples, {filled.peaks:,} hourly peaks, {filled.alerts} alerts,"
        f" {len(quarter.outages)} outages",
    ]
    if filled.changes is None:
        lines.append("  The roll-out was left alone: somebody has changed it already.")
    else:
        lines.append(f"  {filled.changes} changes of the roll-out, up to 7 %; the demo's own key keeps all of voice")
    if not filled.costs:
        lines.append("  The infrastructure's costs were left alone: they are not those of a new database.")
    lines.append(
        "Concurrent users, GPU and response times of the capacity pages are drawn for a service of that phase;"
    )
    lines.append("they are not counted from these requests.")
    lines += [
        "Look at (make run starts the service and prints the admin's password):",
        *map(_address, filter(_is_there, PAGES)),
    ]
    return "\n".join(lines)


def _address(page: str) -> str:
    return f"  http://{settings.VOICE_HOST}:{settings.PORT}{page}"


def _is_there(page: str) -> bool:
    try:
        return resolve(page).url_name is not None
    except Resolver404:
        return False
