"""``manage.py models``: list, install and verify models."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from model_store.catalogue import Model, Task, catalogue
from model_store.choice import AUTO, SETTINGS, Choice, chosen, forget_choices
from model_store.errors import ModelNotInstalled, ModelStoreError, UnknownModel
from model_store.files import ModelDirectory
from model_store.install import Installer
from model_store.progress import Progress, megabytes

INTERRUPTED = 130  # exit status as in a shell: 128 plus the number of SIGINT


class Command(BaseCommand):
    help = "List, install and verify the speech models."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        actions.add_parser("list", help="list all models, and show which are installed and in use (the default action)")
        install = actions.add_parser("install", help="download models and check their hashes")
        install.add_argument("ids", nargs="*", metavar="ID", help="ids as shown by `manage.py models list`")
        install.add_argument("--default", action="store_true", help="install the models that `make run` uses")
        install.add_argument(
            "--optional", action="store_true", help="also download optional files (all of Kokoro's own voices)"
        )
        install.add_argument(
            "--from",
            dest="origin",
            type=Path,
            metavar="DIRECTORY",
            help="use the files in this directory before downloading any",
        )
        verify = actions.add_parser("verify", help="check the hashes of installed models")
        verify.add_argument("ids", nargs="*", metavar="ID", help="models to check (default: all installed ones)")

    def handle(self, *args: Any, **options: Any) -> None:
        self.directory = Path(settings.VOICE_MODELS_DIR)
        actions = {"install": self._install, "verify": self._verify, "list": self._list, None: self._list}
        try:
            actions[options["action"]](options)
        except ModelStoreError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        except KeyboardInterrupt:
            message = "Interrupted. What was fetched is kept; run it again to go on."
            raise CommandError(message, returncode=INTERRUPTED) from None

    def _install(self, options: dict[str, Any]) -> None:
        models = list(self._defaults()) if options["default"] else []
        models += [model for model in map(_known, options["ids"]) if model not in models]
        if not models and not options["default"]:
            raise UnknownModel("Name the models to install: --default, or the ids that `manage.py models list` shows.")
        failures: list[ModelStoreError] = []
        with Progress() as progress:
            installer = Installer(self.directory, progress, options["origin"])
            for model in models:
                try:
                    installer.install(model, optional=options["optional"])
                except ModelStoreError as error:  # the other models may still be available
                    failures.append(error)
        forget_choices()
        if failures:
            raise CommandError("\n".join(map(str, failures)), returncode=failures[0].exit_code)

    def _defaults(self) -> Iterator[Model]:
        """Yield the default models, except for a task for which the settings name another model."""
        for model in catalogue().defaults():
            setting = SETTINGS[model.task]
            wanted = getattr(settings, setting)
            if wanted in AUTO or catalogue().find(wanted) is model:
                yield model
            else:
                self.stderr.write(f"{model.id} is not needed: {setting} is {wanted}")

    def _verify(self, options: dict[str, Any]) -> None:
        models = [_known(name) for name in options["ids"]]
        models = models or [model for model in catalogue() if (self.directory / model.id).is_dir()]
        if not models:
            self.stdout.write(f"Nothing is installed in {self.directory}.")
            return
        problems: list[str] = []
        with Progress() as progress:
            for model in models:
                if model.part_of:
                    continue
                progress.start(f"{model.id}: checking", model.bytes)
                found = ModelDirectory(model, self.directory / model.id).verify(progress.add)
                problems += [f"{model.id}: {problem}" for problem in found]
                progress.say(f"{model.id}: " + (f"{len(found)} wrong" if found else "every file is right"))
        if problems:
            again = "manage.py models install fetches what is wrong again."
            raise CommandError("\n".join([*problems, again]), returncode=4)

    def _list(self, options: dict[str, Any]) -> None:
        serving = {task: _serving(task) for task in Task}
        for task in Task:
            self.stdout.write(f"{task.value.capitalize()}:")
            for model in catalogue():
                if model.task is task:
                    self._line(model, serving[task])
            choice = serving[task]
            if isinstance(choice, ModelNotInstalled):
                self.stdout.write(f"  ! {choice}")
            elif choice.notice:
                self.stdout.write(f"  ! {choice.notice}")
            elif catalogue().find(choice.id) is None:
                self.stdout.write(f"  * {choice.source}")
            self.stdout.write("")
        self.stdout.write(f"* serves now. Models are kept in {self.directory}.")

    def _line(self, model: Model, serving: Choice | ModelNotInstalled) -> None:
        mark = "*" if isinstance(serving, Choice) and serving.id == model.id else " "
        size = megabytes(model.bytes) if model.bytes else "–"
        about = "" if model.pinned or model.part_of else "about "
        languages = " ".join(model.languages)
        self.stdout.write(f"  {mark} {model.id:<36} {self._state(model):<14} {about + size:>14}  {languages}")
        pinned = "" if model.pinned or model.part_of else "; not pinned by a hash"
        self.stdout.write(f"      {model.name}, by {model.author}")
        self.stdout.write(f"      licence {model.license}{pinned}; {model.device}")

    def _state(self, model: Model) -> str:
        if model.part_of:
            return "part of it"
        directory = ModelDirectory(model, self.directory / model.id)
        if directory.is_usable():
            return "installed"
        return "damaged" if directory.path.exists() else "not installed"


def _known(name: str) -> Model:
    model = catalogue().find(name)
    if model is None:
        raise UnknownModel(f"There is no model {name!r}. There is: {', '.join(one.id for one in catalogue())}.")
    return model


def _serving(task: Task) -> Choice | ModelNotInstalled:
    try:
        return chosen(task)
    except ModelNotInstalled as error:
        return error
