"""How well a checkpoint hears: error rates and speed over a manifest of recordings and what is said in them."""

from __future__ import annotations

import csv
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

from asr.checkpoint import Checkpoint
from asr.recognition import Recogniser
from asr.transcription import Transcription
from asr.units import Options
from core.errors import ApiError
from spoken_text.normalise import normalise

_AUDIO_KEYS = ("audio", "audio_path", "audio_filepath", "path", "file")
_TEXT_KEYS = ("text", "sentence", "transcript", "transcription")


class BadManifest(ValueError):
    """The manifest cannot be read; the message names the line."""


@dataclass(frozen=True)
class Line:
    audio: Path
    text: str


@dataclass(frozen=True)
class Score:
    """One recording's result. ``errors`` are word edits against ``words`` words that were said."""

    line: Line
    said: str
    heard: str
    errors: int
    words: int
    character_errors: int
    characters: int
    audio_s: float
    took_s: float


@dataclass(frozen=True)
class Rate:
    """A ratio of sums with its 95 % interval, from 1,000 bootstrap samples of the recordings."""

    value: float
    low: float
    high: float


def read_manifest(path: Path) -> list[Line]:
    """JSON lines or CSV with a header; audio paths are relative to the manifest. Raises ``BadManifest``."""
    rows: list[dict[str, str]]
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            rows = list(csv.DictReader(file))
        else:
            try:
                rows = [json.loads(line) for line in file if line.strip()]
            except json.JSONDecodeError as error:
                raise BadManifest(f"{path}: not JSON lines: {error}") from error
    return [_line(path, number, row) for number, row in enumerate(rows, 1)]


def _line(path: Path, number: int, row: dict[str, str]) -> Line:
    audio = next((row[key] for key in _AUDIO_KEYS if row.get(key)), None)
    text = next((row[key] for key in _TEXT_KEYS if row.get(key)), None)
    if audio is None or text is None:
        raise BadManifest(f"{path}: entry {number} needs an audio path ({_AUDIO_KEYS[0]}) and a text ({_TEXT_KEYS[0]})")
    resolved = path.parent / audio
    if not resolved.is_file():
        raise BadManifest(f"{path}: entry {number}: no file {resolved}")
    return Line(resolved, text)


async def scores(
    lines: Sequence[Line], engine: Recogniser, checkpoint: Checkpoint, options: Options
) -> AsyncIterator[Score]:
    """One recording after the other, so that the real-time factor is that of a lone request."""
    await engine.load()
    for line in lines:
        started = time.perf_counter()
        try:
            transcription = await Transcription.open(line.audio.read_bytes(), engine, checkpoint, options)
        except ApiError as error:
            raise BadManifest(f"{line.audio}: {error.message}") from error
        transcript = await transcription.whole()
        took = time.perf_counter() - started
        language = options.language or transcript.language
        yield _score(line, transcript.text, language, transcript.duration_s, took)


def _score(line: Line, heard: str, language: str, audio_s: float, took_s: float) -> Score:
    said, got = normalise(line.text, language), normalise(heard, language)
    words = jiwer.process_words(said or "-", got or "-")
    characters = jiwer.process_characters(said or "-", got or "-")
    return Score(
        line=line,
        said=said,
        heard=got,
        errors=words.substitutions + words.deletions + words.insertions,
        words=max(1, len(said.split())),
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
        characters=max(1, len(said)),
        audio_s=audio_s,
        took_s=took_s,
    )


def word_error_rate(results: Sequence[Score]) -> Rate:
    return _rate([(score.errors, score.words) for score in results])


def character_error_rate(results: Sequence[Score]) -> Rate:
    return _rate([(score.character_errors, score.characters) for score in results])


def real_time_factor(results: Sequence[Score]) -> Rate:
    """Seconds of work per second of audio: below 1 is faster than real time."""
    return _rate([(score.took_s, score.audio_s) for score in results])


def _rate(pairs: Sequence[tuple[float, float]]) -> Rate:
    rng = random.Random(0)
    samples = sorted(_ratio(rng.choices(pairs, k=len(pairs))) for _ in range(1000))
    return Rate(_ratio(pairs), samples[25], samples[974])


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(top for top, _ in pairs) / sum(bottom for _, bottom in pairs)
