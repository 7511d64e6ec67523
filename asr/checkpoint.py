"""Select the Whisper checkpoint to load, and describe its properties.

The directory of a checkpoint may contain a file ``voice.json``, which states properties that the service needs and that
CTranslate2 does not provide. A checkpoint without this file is treated as a stock Whisper model.

A *context* is the length of audio, in seconds, that Whisper's encoder processes for one segment of speech. OpenAI's
Whisper always uses 30 s. This service also uses shorter contexts for short segments, because they take less time.
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
#: Lengths of encoder context, in seconds, for a model that was not trained for short contexts. With a context of less
#: than 6 s, such a model repeats itself too often. The shortest context, 7 s, has room for a question of 5 s and the
#: margin. The encoder's time grows with the context, so between 9 s and 15 s there is a context for each second. Under
#: load, units with contexts of up to 15 s share batches (``asr.batching``).
CONTEXTS_S = (7, *range(9, 16), 17, 20, 25, FULL_CONTEXT_S)
TRAINED_SEGMENT_S = 10  # longest segment for a model trained for short contexts; short segments run in parallel
MARGIN_S = 1.8  # context needed after a segment and its final 0.2 s of silence; with less, a stock model repeats itself
#: Longest segment for a stock model, which was trained on 30 s and recognises a word better after more speech.
LONGEST_SEGMENT_S = FULL_CONTEXT_S - math.ceil(MARGIN_S)
#: Longest pause within a segment, measured between padded spans of speech. With this value, a recording is cut at the
#: same pauses that would end a turn of live speech.
MAX_PAUSE_S = (TURN_SILENCE_MS - 2 * SPEECH_PADDING_MS) / 1000


@dataclass(frozen=True)
class Checkpoint:
    """A Whisper model and its properties.

    ``source``: directory or Hugging Face hub id to load the model from.
    ``name``: name of the model in the API.
    ``contexts_s``: lengths of encoder context that suit the model, in seconds, ascending.
    ``margin_s``: seconds by which a context must be longer than the speech.
    ``languages``: codes of the languages that the model understands; empty for all of Whisper's languages.
    ``plain``: whether the model writes only lower-case words without punctuation.
    ``longest_pause_s``: longest pause within a segment, at most ``MAX_PAUSE_S``; longer pauses harm recognition.
    ``prompt_tokens``: number of tokens in the longest prompt that the model can use.
    ``timestamps``: whether the model's own timestamps are reliable; if not, each segment is one phrase.
    ``translates``: whether the model can translate speech into English.
    ``lexicon``: path of a word list with which spaces are corrected (``asr.lexicon``); None for no correction.
    ``bundled``: whether this is the small model that comes with the service.
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
        """The length of the longest speech segment to cut for this model, in seconds.

        It is 30 s if the model has only the full context, because a shorter segment would take just as long.
        """
        if self.contexts_s == (FULL_CONTEXT_S,):
            return FULL_CONTEXT_S
        return LONGEST_SEGMENT_S if self.margin_s else TRAINED_SEGMENT_S


def configured() -> Checkpoint:
    """Return the checkpoint that the service uses.

    If the inference tier has reported its checkpoint (``adopt``), this is the tier's checkpoint. Otherwise, it is the
    checkpoint that the settings name, whose contexts ``VOICE_ASR_CONTEXT`` can override.

    Raise ``ModelNotInstalled`` if the checkpoint that the settings name is not installed.
    """
    return _adopted or _described(_source(), settings.VOICE_ASR_CONTEXT)


def _source() -> str:
    if settings.VOICE_INFERENCE_URL:  # only the tier has the files; until it reports its checkpoint, use the setting
        return str(BUNDLED) if settings.VOICE_ASR_MODEL in AUTO else settings.VOICE_ASR_MODEL
    return chosen(Task.TRANSCRIPTION).source


def adopt(about: Mapping[str, Any]) -> None:
    """Make ``configured`` return the inference tier's checkpoint in this process.

    ``about``: the fields of the tier's ``Checkpoint``.

    Limit ``longest_pause_s`` to this process's ``MAX_PAUSE_S``, because this process decides where a turn of live
    speech ends.
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
