"""``manage.py measure_rates FILE``: measure the machine time per request with the configured models."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tools.planning import assumptions


class Command(BaseCommand):
    help = (
        "Measure the batch times by batch size and the CPU time of a request, for plan_capacity. A temporary service "
        "with the configured models is started for this. It takes one to four minutes, depending on the model; nothing "
        "else should run on the machine meanwhile."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("output", type=Path, metavar="FILE", help="JSON file to write")
        parser.add_argument(
            "--seconds", type=float, default=8.0, help="seconds of load for each kind of work (default: 8)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        seconds = options["seconds"]
        output = options["output"]
        if not 1 <= seconds <= 600:
            raise CommandError("--seconds: from 1 to 600")
        if not output.parent.is_dir():
            raise CommandError(f"{output.parent} is not a folder")
        try:
            from tools.benchmarks import rates as measuring
        except ImportError as error:
            raise CommandError(f"this needs a checkout with its development tools (make setup-dev): {error}") from error
        self.stdout.write("Measuring ...")
        self.stdout.flush()
        try:
            found = asyncio.run(measuring.measure(seconds))
        except (RuntimeError, OSError) as error:
            raise CommandError(str(error)) from error
        found.write(output)
        for line in assumptions.measured(found):
            self.stdout.write(f"  {line}")
        self.stdout.write(f"  {found.cores:.2f} cores were available under load")
        self.stdout.write(f"Written: {output}")
