"""The models that a request can name: those that apps register, and OpenAI's names as aliases of the default models."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.utils.translation import gettext as _

from core.error_codes import ErrorCode
from core.errors import ApiError


class Task(StrEnum):
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"


# OpenAI's names, https://platform.openai.com/docs/models. Each may be followed by the date of a version.
_TRANSCRIPTION_NAMES = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
)
_SPEECH_NAMES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
ALIASES = dict.fromkeys(_TRANSCRIPTION_NAMES, Task.TRANSCRIPTION) | dict.fromkeys(_SPEECH_NAMES, Task.SPEECH)
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_OPENAI_NAME = re.compile(r"(gpt|whisper|tts)-[\w.-]+")


def undated(name: str) -> str:
    """Return OpenAI's model name without its version date: ``gpt-4o-mini-tts`` for ``gpt-4o-mini-tts-2025-12-15``."""
    return _DATE.sub("", name)


@dataclass(frozen=True)
class ModelCard:
    """Description of a model.

    ``created``: Unix seconds; 0 if unknown.
    ``languages``: ISO 639-1 codes of the languages for which this service offers the model.
    ``notice``: what users should know before they use the model; empty if nothing.
    """

    id: str
    task: Task
    owned_by: str
    created: int = 0
    languages: tuple[str, ...] = ()
    notice: str = ""


_offers: dict[Task, Callable[[], list[ModelCard]]] = {}


def register(task: Task, models: Callable[[], list[ModelCard]]) -> None:
    """Register a function that returns the models for a task, the default first. Called in ``AppConfig.ready``."""
    _offers[task] = models


def offered(task: Task) -> list[ModelCard]:
    """Return the models for a task, the default first."""
    return _offers[task]()


def resolve(name: str | None, task: Task) -> ModelCard:
    """Return the model that ``name`` stands for, or the default model if no name is given.

    Raise ``ApiError`` 404 for a name that is not known.
    """
    cards = offered(task)
    if not name:
        return cards[0]
    for card in cards:
        if card.id == name:
            return card
    alias_of = ALIASES.get(undated(name))
    if alias_of is task:
        return cards[0]
    if alias_of is None and settings.VOICE_UNKNOWN_MODELS == "default" and _OPENAI_NAME.fullmatch(name):
        return cards[0]
    names = ", ".join(card.id for card in cards)
    raise ApiError(
        ErrorCode.MODEL_NOT_FOUND,
        _("There is no {task} model {name!r}. Available: {names}.").format(task=task, name=name, names=names),
        param="model",
    )


def notices() -> list[str]:
    """Return the notices of the default models. These models serve requests that name no model."""
    first = [offered(task)[0] for task in Task]
    return [card.notice for card in first if card.notice]


def everything() -> Iterator[tuple[str, ModelCard]]:
    """Yield every name that a request may use, with the model that serves it."""
    for task in Task:
        for card in offered(task):
            yield card.id, card
    for alias, task in ALIASES.items():
        yield alias, offered(task)[0]
