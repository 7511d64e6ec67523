"""The catalogue of voices, and the choice of a voice by model, name and language.

The catalogue is read from ``espeak_voices.toml``. Engines add their voices with ``Catalogue.register`` at the start of
the process and when their models have loaded.
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
NAME_PART = re.compile(r"\w[^,()]*\w")  # part of a voice's name: "Malay, woman, calm (default)" has four

# ISO 639 code of a language → the BCP 47 tag that is used here.
_SAME_LANGUAGE = {"zlm": "ms", "msa": "ms", "may": "ms", "eng": "en", "cmn": "zh", "zho": "zh", "tam": "ta"}


class VoiceNotFound(LookupError):
    """No voice has this name, or it is not a voice of the requested model."""


class LanguageNotFound(LookupError):
    """No voice speaks this language."""


@dataclass(frozen=True)
class Voice:
    """An entry of the voice catalogue.

    ``language``: the voice's main language (BCP 47).
    ``engine``: name of the engine that speaks it.
    ``commercial_use``: whether the licence allows commercial use; None if unknown.
    ``languages``: all languages of the voice, if there are several.
    ``openai``: names of OpenAI's voices for which this voice is used.
    ``parameters``: settings for the engine.
    """

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
        """Return True if the voice speaks a language. The region and script in the language tag are ignored."""
        return primary(language) in {primary(one) for one in (self.language, *self.languages)}


class Catalogue:
    """All voices, in the order in which they are listed.

    The first voice of a model is that model's default, unless the service's default voice belongs to the model.
    """

    def __init__(self, voices: Iterable[Voice] = ()) -> None:
        self._voices: dict[str, Voice] = {}
        self.register(voices)

    def register(self, voices: Iterable[Voice], *, first: bool = False) -> None:
        """Add voices, and replace those with the same id.

        ``first``: whether new voices are put before all others instead of after them.
        """
        added = {voice.id: voice for voice in voices}
        self._voices = {**added, **self._voices, **added} if first else {**self._voices, **added}

    def get(self, voice_id: str) -> Voice | None:
        return self._voices.get(voice_id)

    def all(self) -> list[Voice]:
        return list(self._voices.values())

    def models(self) -> dict[str, Voice]:
        """Return the first voice of every model, by the model's id."""
        models: dict[str, Voice] = {}
        for voice in self._voices.values():
            models.setdefault(voice.model, voice)
        return models

    def resolve(
        self, *, default: str, model: str | None = None, voice: str | None = None, language: str | None = None
    ) -> Voice:
        """Return the voice for a request.

        ``default``: id of the voice for a request that names none.
        ``model``: None allows any model. OpenAI's names then mean voices of the default voice's model.
        ``voice``: a voice's id, or one of OpenAI's names. With an id, ``language`` is ignored.
        ``language``: a language that the voice must speak; None allows any.

        Raise ``VoiceNotFound`` if there is no such voice, or ``LanguageNotFound`` if none speaks the language.
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
        spoken = named if language is None or named is None else self.voice_for_language(named, language, model=model)
        if spoken is None:
            raise (VoiceNotFound(model) if named is None else LanguageNotFound(language))
        return spoken

    def voice_for_language(self, voice: Voice, language: str, *, model: str | None = None) -> Voice | None:
        """Return ``voice`` if it speaks ``language``, else the most similar voice that does, or None.

        ``model``: if given, only voices of this model may replace ``voice``.

        Voices of the same model are preferred, then voices of the same sex.
        """
        if voice.speaks(language):
            return voice
        able = [one for one in self._voices.values() if one.speaks(language) and model in (None, one.model)]
        return min(able, key=lambda one: (one.model != voice.model, one.gender != voice.gender), default=None)

    def _named(self, model: str, openai_name: str | None, fallback: Voice) -> Voice | None:
        """Return the voice of a model that stands for one of OpenAI's names, or None if the model has no voices.

        ``openai_name``: one of OpenAI's names; None means the model's default voice.
        ``fallback``: the service's default voice, which is also the default voice of its own model.
        """
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
    """Return a language tag's primary language: ``en`` for ``en-GB``, ``ms`` for ``zlm``."""
    tag = language.replace("_", "-").split("-")[0].lower()
    return _SAME_LANGUAGE.get(tag, tag)


def default_voice() -> Voice:
    """Return the voice for requests that name none: ``VOICE_TTS_DEFAULT_VOICE`` if available, else the first voice."""
    voices = catalogue()
    return voices.get(settings.VOICE_TTS_DEFAULT_VOICE) or voices.all()[0]


def read_voices(path: Path) -> list[Voice]:
    """Read the voices from a TOML file such as ``espeak_voices.toml``."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Voice(**{**data["models"][entry["model"]], **_fields(entry)}) for entry in data["voices"]]


def _fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a voice's TOML table into arguments for ``Voice``.

    The key ``recipe`` is left out: only the tool that makes the style packs uses it.
    """
    tuples = {name: tuple(entry.get(name, ())) for name in ("languages", "openai")}
    return {**{name: value for name, value in entry.items() if name != "recipe"}, **tuples}


@cache
def catalogue() -> Catalogue:
    """Return this process's catalogue of voices."""
    return Catalogue(read_voices(Path(__file__).with_name("espeak_voices.toml")))
