"""Read settings from the environment.

A setting with an invalid value gets its default, and the problem is recorded. ``manage.py check`` can therefore report
all problems at once. No server starts while there is a problem.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import environ

from core.state_directory import state_directory

# If the name of a setting contains one of these, its value is never printed.
SECRETS = ("SECRET", "PASSWORD", "KEY", "_URL")

Text: TypeAlias = str  # because inside ``Environment``, ``str`` is a method
DATABASE_ENGINES = ("django.db.backends.postgresql", "django.db.backends.sqlite3")


@dataclass(frozen=True)
class Problem:
    """A setting with an invalid value.

    ``allowed``: which values are valid, as the end of the sentence "It must be …".
    """

    name: str
    value: str
    allowed: str

    def __str__(self) -> str:
        is_secret = any(word in self.name for word in SECRETS)
        shown = "its value" if is_secret else f"{self.value[:80]!r}"
        return f"{self.name}: {shown} cannot be used. It must be {self.allowed}."


class Environment(environ.Env):
    """An ``environ.Env`` that does not raise for an invalid value. It records a ``Problem`` and returns the default.

    An empty variable counts as not set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[Problem] = []

    def str(self, var: Text, default: Any = environ.Env.NOTSET, multiline: Any = False) -> Any:
        return self._read(
            lambda name, default: super(Environment, self).str(name, default, multiline), var, default, ""
        )

    def int(self, var: Text, default: Any = environ.Env.NOTSET) -> Any:
        return self._read(super().int, var, default, "a whole number")

    def float(self, var: Text, default: Any = environ.Env.NOTSET) -> Any:
        return self._read(super().float, var, default, "a number")

    def bool(self, var: Text, default: Any = environ.Env.NOTSET) -> Any:
        value = os.environ.get(var, "").strip().lower()
        if value and value not in (*self.BOOLEAN_TRUE_STRINGS, "false", "off", "no", "n", "0"):
            self.add_problem(var, value, "true or false")
            return default
        return self._read(super().bool, var, default, "true or false")

    def list(self, var: Text, cast: Any = None, default: Any = environ.Env.NOTSET) -> Any:
        values = self._read(lambda name, default: super(Environment, self).list(name, cast, default), var, default, "")
        return [value.strip() for value in values if value.strip()]

    def parsed(self, var: Text, parse: Callable[[Text], Any], value: Text, default: Text, allowed: Text) -> Any:
        """Return ``parse(value)``. If that raises, record a ``Problem`` for ``var`` and return ``parse(default)``."""
        try:
            return parse(value)
        except Exception:  # noqa: BLE001 - parsers of addresses raise errors of any kind
            self.add_problem(var, value, allowed)
            return parse(default)

    def state_directory(self, var: Text, default: Path) -> Path:
        """Return the directory that ``var`` names, or ``default``. Create the directory if it is missing.

        If the directory is not writable, record a ``Problem`` and return a temporary directory.
        """
        path = Path(os.environ.get(var, "").strip() or default)
        try:
            directory = state_directory(path)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            self.add_problem(var, path, f"a directory that can be written to ({error.strerror})")
            return Path(tempfile.mkdtemp(prefix="voice-"))
        return directory

    def add_problem(self, name: Text, value: object, allowed: Text) -> None:
        self.problems.append(Problem(name, f"{value}", allowed))

    def _read(self, read: Callable[..., Any], var: Text, default: Any, allowed: Text) -> Any:
        value = os.environ.get(var)
        if value is None or not value.strip():
            return default
        try:
            return read(var, default=default)
        except ValueError:
            self.add_problem(var, value, allowed)
            return default


def database_config(url: str) -> dict[str, Any]:
    """Return the entry for Django's ``DATABASES`` setting that a database URL describes.

    Raise ``ValueError`` if the database is neither PostgreSQL nor SQLite.
    """
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if config.get("ENGINE") not in DATABASE_ENGINES:
        raise ValueError(url)
    return config
