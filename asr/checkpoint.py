"""Which Whisper checkpoint to load, and what is known about it.

A checkpoint directory may hold ``voice.json`` beside the weights, with facts about the model that this service needs
and CTranslate2 does not give. Without that file the model is treated as a stock Whisper.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from asr.units import SPEECH_PADDING_MS, TURN_SILENCE_MS
from model_store.catalogue import Task
from model_store.choice import AUTO, chosen

BUNDLED = Path(__file__).parent / "bundled"
FULL_CONTEXT_S = 30
#: For a model that was not trained for short contexts. In less than 6 s it repeats itself too often, and 7 s instead of
#: 6 hold a question of 5 s with its margin. Closer steps would save the encoder less time than smaller batches cost the
#: decoder.
CONTEXTS_S = (7, 10, 15, 20, FULL_CONTEXT_S)
TRAINED_SEGMENT_S = 10  # for a model trained for short contexts: short segments of one file run side by side
MARGIN_S = 1.8  # after a segment, which ends in 0.2 s of silence: with less, a stock model repeats itself
#: For a stock model, which was trained on half minutes: it recognises a word better after all that comes before it.
LONGEST_SEGMENT_S = FULL_CONTEXT_S - math.ceil(MARGIN_S)
#: The longest pause between spans of speech, as padded, in one segment: a recording is cut where a live turn ends.
MAX_PAUSE_S = (TURN_SILENCE_MS - 2 * SPEECH_PADDING_MS) / 1000


@dataclass(frozen=True)
class Checkpoint:
    """A Whisper model and its properties.

    ``source``: directory or hub id to load it from.
    ``name``: its name in the API.
    ``contexts_s``: lengths of encoder context that it may be given, in seconds, ascending.
    ``margin_s``: seconds by which a context must be longer than the speech.
    ``languages``: those that it understands; empty: all of Whisper's.
    ``plain``: it writes lower-case words without punctuation.
    ``longest_pause_s``: longest pause within a segment, at most ``MAX_PAUSE_S``; longer ones harm recognition.
    ``prompt_tokens``: length of the longest prompt that it has learnt to take.
    ``timestamps``: whether its own timestamps are good. If not, each segment is one phrase.
    ``translates``: whether it can write English for speech in another language.
    ``lexicon``: a list of words that corrects its spaces (``asr.lexicon``).
    ``bundled``: it is the small model that comes with this service.
    """

    source: str
    name: str
    contexts_s: tuple[int, ...] = (FULL_CONTEXT_S,)
    margin_s: float = 0.0
    languages: tuple[str, ...] = ()
    plain: bool = False
    longest_pause_s: float = MAX_PAUSE_S
    prompt_tokens: int = 223
    timestamps: bool = True
    translates: bool = True
    lexicon: Path | None = None
    bundled: bool = False

    @property
    def segment_s(self) -> int:
        """The longest segment worth giving the model, in seconds.

        A model that has only the full context costs the same for any length up to 30 s, so it gets 30 s.
        """
        if self.contexts_s == (FULL_CONTEXT_S,):
            return FULL_CONTEXT_S
        return LONGEST_SEGMENT_S if self.margin_s else TRAINED_SEGMENT_S


def configured() -> Checkpoint:
    """Return the checkpoint that the settings name, or the one that an inference tier has reported.

    ``VOICE_ASR_CONTEXT`` overrides the model's own contexts. Raises ``ModelNotHere``.
    """
    return _adopted or _described(_source(), settings.VOICE_ASR_CONTEXT)


def _source() -> str:
    if settings.VOICE_INFERENCE_URL:  # only the tier has the files; until it reports what it runs, use the setting
        return str(BUNDLED) if settings.VOICE_ASR_MODEL in AUTO else settings.VOICE_ASR_MODEL
    return chosen(Task.TRANSCRIPTION).source


def adopt(about: Mapping[str, Any]) -> None:
    """Use the checkpoint of the inference tier in this process. ``about``: the checkpoint's fields.

    The pause within a segment is limited here too, because a live turn ends in this process.
    """
    global _adopted
    tuples = {name: tuple(about[name]) for name in ("contexts_s", "languages")}
    longest_pause_s = min(MAX_PAUSE_S, about.get("longest_pause_s", MAX_PAUSE_S))
    _adopted = Checkpoint(**{**about, **tuples, "longest_pause_s": longest_pause_s, "lexicon": None})


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
        longest_pause_s=min(MAX_PAUSE_S, float(about.get("longest_pause_s", MAX_PAUSE_S))),  # type: ignore[arg-type]
        prompt_tokens=int(about.get("prompt_tokens", Checkpoint.prompt_tokens)),  # type: ignore[call-overload]
        timestamps=bool(about.get("timestamps", True)),
        translates=bool(about.get("translates", True)),
        lexicon=directory / "lexicon.txt" if (directory / "lexicon.txt").is_file() else None,
        bundled=directory.resolve() == BUNDLED.resolve(),
    )
