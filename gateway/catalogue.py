"""The model names that a request can use: those of the registered models, and OpenAI's.

Each of OpenAI's names is an alias for the default model of one task.
"""

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


# OpenAI's model names (https://platform.openai.com/docs/models). A version date may follow each name.
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
    """Remove the version date from an OpenAI model name: ``gpt-4o-mini-tts-2025-12-15`` gives ``gpt-4o-mini-tts``."""
    return _DATE.sub("", name)


@dataclass(frozen=True)
class ModelCard:
    """Description of a model.

    ``created``: Unix seconds; 0 if unknown.
    ``languages``: ISO 639-1 codes of the languages for which this service offers the model.
    ``notice``: information for users before they use the model; may be empty.
    """

    id: str
    task: Task
    owned_by: str
    created: int = 0
    languages: tuple[str, ...] = ()
    notice: str = ""


_offers: dict[Task, Callable[[], list[ModelCard]]] = {}


def register(task: Task, models: Callable[[], list[ModelCard]]) -> None:
    """Register a function that returns the models for a task, the default model first.

    Apps call this in ``AppConfig.ready``.
    """
    _offers[task] = models


def offered(task: Task) -> list[ModelCard]:
    """Return the models for a task, the default model first."""
    return _offers[task]()


def resolve(name: str | None, task: Task) -> ModelCard:
    """Return the model with this name or alias; the default model if ``name`` is None or empty.

    Raise ``ApiError`` 404 for any other name. But if ``VOICE_UNKNOWN_MODELS`` is "default", return the default model
    for an unknown name that begins with ``gpt-``, ``whisper-`` or ``tts-``.
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
    """Return the notices of the default models, which serve requests that name no model."""
    first = [offered(task)[0] for task in Task]
    return [card.notice for card in first if card.notice]


def everything() -> Iterator[tuple[str, ModelCard]]:
    """Yield each name and alias in the list of models, with the model that serves it."""
    for task in Task:
        for card in offered(task):
            yield card.id, card
    for alias, task in ALIASES.items():
        yield alias, offered(task)[0]
