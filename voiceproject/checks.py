"""Checks of the settings and models, for ``manage.py check`` and for each server before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from model_store.choice import SETTINGS, chosen
from model_store.errors import ModelNotInstalled


@register
def usable_settings(**_options: Any) -> list[CheckMessage]:
    """Return an error for each setting with an invalid value. Runs in ``manage.py check``."""
    hint = "docs/configuration.md explains each setting."
    return [Error(str(problem), hint=hint, id="voice.E001") for problem in settings.SETTING_PROBLEMS]


@register
def usable_models(**_options: Any) -> list[CheckMessage]:
    """Return an error for each setting that names a missing model. Runs in ``manage.py check``."""
    return [Error(problem, hint="manage.py models lists them.", id="voice.E002") for problem in _model_problems()]


def require_usable_settings() -> None:
    """Raise ``ImproperlyConfigured`` if a setting is invalid or a model is missing. Servers call this at their start.

    The message lists every invalid setting, or the first missing model.
    """
    if settings.SETTING_PROBLEMS:
        problems = "\n".join(f"  {problem}" for problem in settings.SETTING_PROBLEMS)
        raise ImproperlyConfigured(f"These settings cannot be used:\n{problems}")
    if problem := next(_model_problems(), None):
        raise ImproperlyConfigured(problem)


def _model_problems() -> Iterator[str]:
    if settings.VOICE_INFERENCE_URL:  # this process loads no models
        return
    for task, setting in SETTINGS.items():
        try:
            chosen(task)
        except ModelNotInstalled as error:
            yield f"{setting}: {error}"
