"""Settings that cannot work are found before anything is served."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured


@register
def usable_settings(**_options: Any) -> list[CheckMessage]:
    """``manage.py check``: one error for each setting that cannot be used."""
    hint = "docs/configuration.md explains each setting."
    return [Error(str(problem), hint=hint, id="voice.E001") for problem in settings.SETTING_PROBLEMS]


def require_usable_settings() -> None:
    """Raises ``ImproperlyConfigured`` with all problems, for whoever is about to serve."""
    if settings.SETTING_PROBLEMS:
        problems = "\n".join(f"  {problem}" for problem in settings.SETTING_PROBLEMS)
        raise ImproperlyConfigured(f"These settings cannot be used:\n{problems}")
