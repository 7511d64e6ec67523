"""Choose the model for a task: the model that a setting names, or else a default model.

The setting can be the id or an alias of a model in the catalogue, or a directory. For speech to text, it can also be
the id of a repository on the Hugging Face hub. If the setting is empty or ``auto``, the first installed default model
is chosen, or the fallback model, which comes with the service, if no default model is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from model_store.catalogue import Model, Task, catalogue
from model_store.errors import ModelNotInstalled
from model_store.files import ModelDirectory

AUTO = ("", "auto")
SETTINGS = {Task.TRANSCRIPTION: "VOICE_ASR_MODEL", Task.SPEECH: "VOICE_TTS_MODEL"}
INSTALL_DEFAULTS = "manage.py models install --default"
ROOT = Path(__file__).resolve().parent.parent

# The files that a directory must contain if its model is not in the catalogue. One file of each tuple is enough.
_NEEDED = {
    Task.TRANSCRIPTION: (("model.bin",), ("config.json",), ("tokenizer.json",), ("vocabulary.txt", "vocabulary.json")),
    Task.SPEECH: (("model.onnx",), ("vocab.json",)),
}


@dataclass(frozen=True)
class Choice:
    """The model that has been chosen for a task.

    ``id``: id of the model in the catalogue. For any other model, it is the name of its directory or its hub id.
    ``engine``: name of the engine that runs the model.
    ``directory``: directory of the files; None if the engine needs no files, or if they are downloaded from ``hub``.
    ``hub``: id of the hub repository from which to download the model, or empty.
    ``notice``: message that says why the fallback is used instead of a default model, or empty.
    """

    id: str
    engine: str
    directory: Path | None
    hub: str = ""
    notice: str | Promise = ""

    @property
    def is_fallback(self) -> bool:
        """Whether the fallback is used because no default model is installed."""
        return bool(self.notice)

    @property
    def source(self) -> str:
        """The directory or hub id from which to load the model."""
        return str(self.directory) if self.directory else self.hub


def choose(task: Task, wanted: str, models_directory: Path) -> Choice:
    """Choose the model for a task.

    ``wanted``: value of the setting that names the model.
    ``models_directory``: directory in which models are installed, each in a folder named by its id.

    Raise ``ModelNotInstalled`` if the setting names an unknown model, or a model that is not completely installed.
    """
    if wanted in AUTO:
        return _best(task, models_directory)
    model = catalogue().find(wanted)
    if model is not None and model.task is task:
        return _named(model, models_directory)
    path = Path(wanted).expanduser()
    if path.is_dir():
        _require_files(task, path)
        engine = {Task.TRANSCRIPTION: "whisper", Task.SPEECH: "kokoro"}[task]
        return Choice(path.resolve().name, engine, path)
    is_hub_id = wanted.count("/") == 1 and not wanted.startswith((".", "/", "~"))
    if task is Task.TRANSCRIPTION and is_hub_id:
        return Choice(wanted, "whisper", None, hub=wanted)
    known = ", ".join(one.id for one in catalogue() if one.task is task)
    raise ModelNotInstalled(f"There is no directory and no {task} model {wanted!r}. Models: {known}.")


def chosen(task: Task) -> Choice:
    """Return the model for a task according to the settings. The choice is cached until ``forget_choices`` is called.

    Raise ``ModelNotInstalled`` if the setting names an unknown model, or a model that is not completely installed.
    """
    from django.conf import settings

    return _choose_once(task, getattr(settings, SETTINGS[task]), Path(settings.VOICE_MODELS_DIR))


_choose_once = cache(choose)


def forget_choices() -> None:
    """Make ``chosen`` choose again at its next call. Call this after models have been installed or removed."""
    _choose_once.cache_clear()


def _best(task: Task, models_directory: Path) -> Choice:
    defaults = [model for model in catalogue().defaults() if model.task is task]
    for model in defaults:
        if ModelDirectory(model, models_directory / model.id).is_usable():
            return Choice(model.id, model.engine, models_directory / model.id)
    fallback = catalogue().fallback(task)
    missing = " or ".join(model.name for model in defaults)
    is_broken = any((models_directory / model.id).exists() for model in defaults)
    state = _("incomplete or damaged") if is_broken else _("not installed")
    limits = {
        Task.TRANSCRIPTION: _("it understands clear synthetic Malay, not people"),
        Task.SPEECH: _("it sounds synthetic"),
    }[task]
    notice = format_lazy(
        _("{missing} is {state}, so {fallback} serves: {limits}. To fix this, run {command}."),
        missing=missing,
        state=state,
        fallback=fallback.name,
        limits=limits,
        command=INSTALL_DEFAULTS,
    )
    return _part_of_installation(fallback, notice)


def _named(model: Model, models_directory: Path) -> Choice:
    if model.part_of:
        return _part_of_installation(model)
    if not ModelDirectory(model, models_directory / model.id).is_usable():
        raise ModelNotInstalled(
            f"{model.id} is not (completely) in {models_directory}. manage.py models install {model.id} fetches it."
        )
    return Choice(model.id, model.engine, models_directory / model.id)


def _part_of_installation(model: Model, notice: str | Promise = "") -> Choice:
    directory = ROOT / model.part_of
    return Choice(model.id, model.engine, directory if directory.is_dir() else None, notice=notice)


def _require_files(task: Task, directory: Path) -> None:
    missing = [" or ".join(names) for names in _NEEDED[task] if not any((directory / name).is_file() for name in names)]
    if missing:
        raise ModelNotInstalled(f"{directory} holds no {task} model: {', '.join(missing)} is missing.")
