"""The catalogue of voices, and how a request's model, voice and language choose one.

The catalogue is filled from `espeak_voices.toml`, and by `register` once an engine has loaded; afterwards it is only
read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

OPENAI_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)
DEFAULT_LANGUAGE = "ms"
NAME_PART = re.compile(r"\w[^,()]*\w")  # of a voice's name: "Malay, woman, calm (default)" has four

# Names of the same language that are not its BCP 47 tag.
_SAME_LANGUAGE = {"zlm": "ms", "msa": "ms", "may": "ms", "eng": "en", "cmn": "zh", "zho": "zh", "tam": "ta"}


class VoiceNotFound(LookupError):
    """No voice of this name, or the model asked for does not have it."""


class LanguageNotFound(LookupError):
    """Nothing here speaks this language."""


@dataclass(frozen=True)
class Voice:
    """One voice. `commercial_use` is None where nobody knows: ask the model's author."""

    id: str
    name: str
    language: str
    model: str
    engine: str
    license: str
    commercial_use: bool | None = None
    gender: str | None = None
    languages: tuple[str, ...] = ()
    openai: tuple[str, ...] = ()
    parameters: Mapping[str, str | int] = field(default_factory=dict, hash=False)

    def speaks(self, language: str) -> bool:
        return primary(language) in {primary(one) for one in (self.language, *self.languages)}


class Catalogue:
    """All voices by id, in the order in which they are offered. The first voice of a model is its default."""

    def __init__(self, voices: Iterable[Voice] = ()) -> None:
        self._voices: dict[str, Voice] = {}
        self.register(voices)

    def register(self, voices: Iterable[Voice], *, first: bool = False) -> None:
        """Add voices, behind or before those that are there; one with a known id replaces the old one."""
        added = {voice.id: voice for voice in voices}
        self._voices = {**added, **self._voices, **added} if first else {**self._voices, **added}

    def get(self, voice_id: str) -> Voice | None:
        return self._voices.get(voice_id)

    def all(self) -> list[Voice]:
        return list(self._voices.values())

    def models(self) -> dict[str, Voice]:
        """Every model with its default voice."""
        models: dict[str, Voice] = {}
        for voice in self._voices.values():
            models.setdefault(voice.model, voice)
        return models

    def resolve(
        self, *, default: str, model: str | None = None, voice: str | None = None, language: str | None = None
    ) -> Voice:
        """The voice that a request means; `default` is the id of the voice for those who name none.

        `model` None means any: then OpenAI's voice names are voices of the default voice's model. A voice that is named
        by its id is taken whatever its language. Raises `VoiceNotFound` and `LanguageNotFound`.
        """
        fallback = self._voices.get(default)
        if fallback is None:
            raise VoiceNotFound(default)
        if voice is not None and voice not in OPENAI_VOICES:
            chosen = self._voices.get(voice)
            if chosen is None or model not in (None, chosen.model):
                raise VoiceNotFound(voice)
            return chosen
        named = self._named(model or fallback.model, voice, fallback)
        spoken = named if language is None or named is None else self.companion(named, language, model=model)
        if spoken is None:
            raise (VoiceNotFound(model) if named is None else LanguageNotFound(language))
        return spoken

    def companion(self, voice: Voice, language: str, *, model: str | None = None) -> Voice | None:
        """The voice that speaks `language` where `voice` would: itself if it can, else the one nearest to it by model
        and sex; of `model` only, if one is given. None where there is no such voice."""
        if voice.speaks(language):
            return voice
        able = [one for one in self._voices.values() if one.speaks(language) and model in (None, one.model)]
        return min(able, key=lambda one: (one.model != voice.model, one.gender != voice.gender), default=None)

    def _named(self, model: str, openai_name: str | None, fallback: Voice) -> Voice | None:
        """The voice of `model` for an OpenAI name; None: the model's default."""
        voices = [one for one in self._voices.values() if one.model == model]
        if not voices:
            return None
        start = fallback if fallback in voices else voices[0]
        if openai_name is None:
            return start
        alike = [one for one in voices if one.language == start.language]
        declared = next((one for one in alike if openai_name in one.openai), None)
        return declared or alike[OPENAI_VOICES.index(openai_name) % len(alike)]


def primary(language: str) -> str:
    """The language without region or script: `en` for `en-GB`, `ms` for `zlm`."""
    tag = language.replace("_", "-").split("-")[0].lower()
    return _SAME_LANGUAGE.get(tag, tag)


def default_voice() -> Voice:
    """The voice for requests that name none: the one in the settings, or the first while that one is not available."""
    voices = catalogue()
    return voices.get(settings.VOICE_TTS_DEFAULT_VOICE) or voices.all()[0]


def read_voices(path: Path) -> list[Voice]:
    """The voices of a TOML file such as `espeak_voices.toml`."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Voice(**{**data["models"][entry["model"]], **_fields(entry)}) for entry in data["voices"]]


def _fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a voice's TOML table into arguments. `recipe` is only used by the tool that makes the packs."""
    tuples = {name: tuple(entry.get(name, ())) for name in ("languages", "openai")}
    return {**{name: value for name, value in entry.items() if name != "recipe"}, **tuples}


@cache
def catalogue() -> Catalogue:
    """This process's voices."""
    return Catalogue(read_voices(Path(__file__).with_name("espeak_voices.toml")))
