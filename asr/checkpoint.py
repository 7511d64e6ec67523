"""Which Whisper checkpoint to load, and what is known about it.

A checkpoint directory may hold ``voice.json`` beside the weights: what this service should know of the model and
CTranslate2 does not say. Without it the model is taken for a stock Whisper.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from model_store.catalogue import Task
from model_store.choice import AUTO, chosen

BUNDLED = Path(__file__).parent / "bundled"
FULL_CONTEXT_S = 30
#: For a model that was not trained for short contexts. Less than the first makes it repeat itself too often; closer
#: steps would save the encoder less than smaller batches cost the decoder.
CONTEXTS_S = (6, 10, 15, 20, FULL_CONTEXT_S)
TRAINED_SEGMENT_S = 10  # for a model with contexts of its own: segments of one file run side by side
MARGIN_S = 2.0  # of silence after the speech, without which such a model repeats itself
#: For a stock one, which was trained on half minutes: it hears a word better for all that comes before it.
LONGEST_SEGMENT_S = FULL_CONTEXT_S - int(MARGIN_S)


@dataclass(frozen=True)
class Checkpoint:
    """``source``: a directory or a hub id. ``contexts_s``: encoder contexts that it may be given, ascending.
    ``margin_s``: how much longer than the speech they must be. ``languages``: what it understands, empty if all of
    Whisper's. ``plain``: it writes lower-case words without punctuation. ``longest_pause_s``: a pause longer than this
    within a segment is not good for it. ``prompt_tokens``: the longest prompt it has learnt to take. ``timestamps``:
    whether its own timestamps are worth asking for; without them a phrase is a segment, as voice activity detection cut
    it. ``translates``: whether it can write English for what is said in another language. ``lexicon``: a list of words
    by which its spaces are put right (``asr.lexicon``)."""

    source: str
    name: str
    contexts_s: tuple[int, ...] = (FULL_CONTEXT_S,)
    margin_s: float = 0.0
    languages: tuple[str, ...] = ()
    plain: bool = False
    longest_pause_s: float = 0.8
    prompt_tokens: int = 223
    timestamps: bool = True
    translates: bool = True
    lexicon: Path | None = None
    bundled: bool = False

    @property
    def segment_s(self) -> int:
        """The longest segment worth giving the model. A full-context model costs the same for any length up to 30 s, so
        it gets 30 s.
        """
        if self.contexts_s == (FULL_CONTEXT_S,):
            return FULL_CONTEXT_S
        return LONGEST_SEGMENT_S if self.margin_s else TRAINED_SEGMENT_S


def configured() -> Checkpoint:
    """Return the checkpoint that the settings name, with ``VOICE_ASR_CONTEXT`` overriding the model's own contexts.
    Where an inference tier has reported its checkpoint, return that one. Raises ``ModelNotHere``.
    """
    return _adopted or _described(_source(), settings.VOICE_ASR_CONTEXT)


def _source() -> str:
    if settings.VOICE_INFERENCE_URL:  # the files are the tier's; until it has said what it runs, the setting stands
        return str(BUNDLED) if settings.VOICE_ASR_MODEL in AUTO else settings.VOICE_ASR_MODEL
    return chosen(Task.TRANSCRIPTION).source


def adopt(about: Mapping[str, Any]) -> None:
    """Make the checkpoint that the inference tier runs this process's own. ``about``: its fields."""
    global _adopted
    tuples = {name: tuple(about[name]) for name in ("contexts_s", "languages")}
    _adopted = Checkpoint(**{**about, **tuples, "lexicon": None})


_adopted: Checkpoint | None = None


@cache
def _described(source: str, context: str) -> Checkpoint:
    directory = Path(source)
    about: dict[str, object] = {}
    described = directory / "voice.json"
    if described.is_file():
        about = json.loads(described.read_text("utf-8"))
    contexts = tuple(int(value) for value in about.get("contexts_s", CONTEXTS_S))  # type: ignore[attr-defined]
    margin_s = float(about.get("margin_s", 0.0 if "contexts_s" in about else MARGIN_S))  # type: ignore[arg-type]
    if context == "full":
        contexts = (FULL_CONTEXT_S,)
    elif context == "dynamic" and contexts == (FULL_CONTEXT_S,):
        contexts = CONTEXTS_S
        margin_s = MARGIN_S
    return Checkpoint(
        source=source,
        name=str(about.get("name") or (directory.name if directory.is_dir() else source)),
        contexts_s=contexts,
        margin_s=margin_s,
        languages=tuple(about.get("languages", ())),  # type: ignore[arg-type]
        plain=bool(about.get("plain", False)),
        longest_pause_s=float(about.get("longest_pause_s", Checkpoint.longest_pause_s)),  # type: ignore[arg-type]
        prompt_tokens=int(about.get("prompt_tokens", Checkpoint.prompt_tokens)),  # type: ignore[call-overload]
        timestamps=bool(about.get("timestamps", True)),
        translates=bool(about.get("translates", True)),
        lexicon=directory / "lexicon.txt" if (directory / "lexicon.txt").is_file() else None,
        bundled=directory.resolve() == BUNDLED.resolve(),
    )
