"""``manage.py watch_capacity``: run the watcher (``capacity.watch``) until SIGINT or SIGTERM."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from capacity.watch import Watcher


class Command(BaseCommand):
    help = (
        "Take samples, evaluate alert rules, advance ramps, send notifications and probe the service. Several may run "
        "at once: one leads, and the others take over if it stops. Stops cleanly on SIGTERM."
    )
    requires_system_checks = []  # the checks take longer than everything else here

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_signal: stopping.set())
        self.stdout.write("Watching.")
        self.stdout.flush()
        Watcher(stopping).run()
        self.stdout.write("Stopped.")
