"""``manage.py serve``: migrate the database, then serve until SIGINT or SIGTERM."""

from __future__ import annotations

import os
import sys
import threading
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from gateway import catalogue
from model_store.catalogue import Task
from model_store.choice import chosen
from model_store.management.commands.models import INTERRUPTED
from voiceproject import demo
from voiceproject.checks import require_usable_settings
from voiceproject.server import Server, listen

if TYPE_CHECKING:
    from voiceproject.daphne_server import DaphneServer

INSTALL = "--install-models"
WATCH_STOP_S = 2.0  # how long to wait for the capacity watcher to stop; the next leader finishes its work


class Command(BaseCommand):
    help = "Serve the API. Stops cleanly on SIGINT and SIGTERM."
    requires_system_checks = []  # the checks take longer than the rest of the start

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="create a demo API key and an admin, and print how to use them"
        )
        parser.add_argument(INSTALL, action="store_true", help="download missing default models first")
        parser.add_argument(
            "--watch",
            action="store_true",
            help="also run the capacity watcher (as watch_capacity does); part of --demo",
        )
        parser.add_argument(
            "--server", choices=["uvicorn", "daphne"], default="uvicorn", help="ASGI server (default: uvicorn)"
        )
        parser.add_argument("--no-migrate", action="store_true", help="do not apply database migrations")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_usable_settings()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if options["install_models"]:
            self._install_models()
        try:
            listening = listen(settings.VOICE_HOST, settings.PORT)
        except OSError as error:
            other = settings.PORT + 1
            raise CommandError(f"cannot listen on port {settings.PORT}: {error.strerror}. Try PORT={other}.") from error
        address = f"http://{settings.VOICE_HOST}:{listening.getsockname()[1]}"
        try:
            if not options["no_migrate"]:
                self._migrate()
            text = demo.prepare().instructions(address) if options["demo"] else f"Serving on {address}"
        except DatabaseError as error:  # the database is unavailable, or its disk is full
            raise CommandError(f"The database cannot be used: {error}") from error
        if notices := catalogue.notices():
            text += "".join(f"\n  ! {notice}" for notice in notices) + "\n"
        connections.close_all()  # the server's threads open their own connections
        self._stopping = threading.Event()
        watch = threading.Thread(target=_watch, args=[self._stopping], name="capacity-watch", daemon=True)

        def started() -> None:
            self._say(text)
            if options["demo"] or options["watch"]:
                watch.start()

        _server(options["server"])(on_started=started, on_stopping=self._say_stopping).run(sockets=[listening])
        self._stopping.set()
        if watch.is_alive():
            watch.join(WATCH_STOP_S)

    def _install_models(self) -> None:
        """Download the default models that are missing, then restart the program.

        The restart is necessary because this process chose its engines when it started, from the models that were
        installed then. If the download fails, the service runs with the fallback models.
        """
        if settings.VOICE_INFERENCE_URL or not any(chosen(task).is_fallback for task in Task):
            return
        try:
            call_command("models", "install", "--default")
        except CommandError as error:
            if error.returncode == INTERRUPTED:
                raise
            self._say(f"{error}\nGoing on without. The next start tries again.")
        arguments = [argument for argument in sys.argv if argument != INSTALL]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - this very program

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._say("Preparing the database ...")
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)

    def _say_stopping(self, running: int) -> None:
        self._stopping.set()
        what = f"finishing {running} request{'s' * (running != 1)}" if running else "nothing under way"
        self._say(f"Stopping: {what}.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _server(name: str) -> type[Server] | type[DaphneServer]:
    if name == "uvicorn":
        return Server
    from voiceproject.daphne_server import DaphneServer  # the import installs Twisted's event loop

    return DaphneServer


def _watch(stopping: threading.Event) -> None:
    """Run the capacity watcher in this thread, as ``manage.py watch_capacity`` does, until ``stopping`` is set."""
    from capacity.watch import Watcher  # imported here so that the server starts sooner

    Watcher(stopping).run()
